'use strict';
// A member of a ring as an application of ringpop-node is one: the service `kv` of Ringpop's
// key-value example, and the endpoint `counts`, which tells what Ringpop has counted so far.
//
//     node member.js HOST:PORT HOSTS.JSON APP fingerprint32|hash32v1 SUSPECT-MS

var Ringpop = require('ringpop');
var TChannel = require('tchannel');
var handleOrForward = require('ringpop/examples/handle_or_forward.js');

require('winston').remove(require('winston').transports.Console);

var listen = process.argv[2];
var counts = {};
var silent = function silent() {};
var channel = new TChannel();
var ringpop = new Ringpop({
    app: process.argv[4],
    hostPort: listen,
    channel: channel.makeSubChannel({serviceName: 'ringpop', trace: false}),
    isCrossPlatform: process.argv[5] === 'fingerprint32',
    stateTimeouts: {suspect: Number(process.argv[6])},
    logger: {trace: silent, debug: silent, info: silent, warn: silent, error: silent},
    statsd: {
        increment: function increment(name, by) {
            name = name.split('.').slice(2).join('.');
            counts[name] = (counts[name] || 0) + (by || 1);
        },
        gauge: silent,
        timing: silent
    }
});
ringpop.setupChannel();

var data = Object.create(null);
var kv = channel.makeSubChannel({serviceName: 'kv', trace: false});
kv.register('counts', function onCounts(req, res) {
    res.headers.as = 'raw';
    res.sendOk('', JSON.stringify(counts));
});
kv.register('get', function onGet(req, res, arg2, arg3) {
    var key = JSON.parse(arg3).key;
    handleOrForward(ringpop, key, req, res, arg2, arg3, function here() {
        res.headers.as = 'raw';
        res.sendOk('', '"' + data[key] + '"');
    });
});
kv.register('put', function onPut(req, res, arg2, arg3) {
    var body = JSON.parse(arg3);
    handleOrForward(ringpop, body.key, req, res, arg2, arg3, function here() {
        data[body.key] = body.value;
        res.headers.as = 'raw';
        res.sendOk('', '"OK"');
    });
});

process.once('SIGTERM', function onTerm() {
    ringpop.selfEvict(function gone() {
        process.exit(0);
    });
});
channel.listen(Number(listen.split(':')[1]), listen.split(':')[0], function onListening() {
    ringpop.bootstrap(process.argv[3]);
});
