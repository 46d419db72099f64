// A tchannel-node server: node server.js. Prints the address that it listens on.
'use strict';

const TChannel = require('tchannel');
const TChannelJSON = require('tchannel/as/json');

const channel = TChannel({});
const test = channel.makeSubChannel({serviceName: 'test'});
const json = new TChannelJSON();

test.register('echo', (req, res, arg2, arg3) => {
    res.headers.as = 'raw';
    res.sendOk(arg2, arg3);
});
test.register('fail', (req, res) => {
    res.headers.as = 'raw';
    res.sendNotOk('', 'what went wrong');
});
test.register('refuse', (req, res) => res.sendError('Declined', 'not now'));
test.register('never', () => {});
test.register('about', (req, res) => {
    res.headers.as = 'json';
    const {traceid, spanid, parentid} = req.tracing;
    const hex = words => words.map(word => word.toString(16).padStart(8, '0')).join('');
    const connections = channel.peers.get(req.remoteAddr).connections;
    res.sendOk('', JSON.stringify({
        caller: req.callerName, from: req.remoteAddr, checksum: req.checksum.type,
        trace: hex(traceid), span: hex(spanid), parent: hex(parentid), timeout: req.timeout,
        connections: connections.map(connection => connection.direction)
    }));
});
json.register(test, 'json', {}, (context, req, head, body, callback) => {
    callback(null, {ok: true, head, body: {got: body}});
});
// Meta::health, by thrift.
channel.TChannelAsThrift({
    source: 'service Nothing {}', channel: test,
    isHealthy: () => ({ok: true, message: 'fine'})
});
// Calls the caller back, over the connection that the caller has opened.
test.register('call back', (req, res, arg2, arg3) => {
    test.request({
        serviceName: 'test', host: req.remoteAddr, timeout: 5000, parent: req,
        headers: {as: 'raw', cn: 'server.js'}
    }).send('echo', arg2, arg3, (err, inner, a2, a3) => {
        res.headers.as = 'raw';
        if (err) return res.sendNotOk('', err.message);
        res.sendOk(a2, a3);
    });
    test.peers.add(req.remoteAddr);
});
channel.listen(0, '127.0.0.1', () => console.log(channel.hostPort));
