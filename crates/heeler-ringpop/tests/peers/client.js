// tchannel-node calls a channel of ours: node client.js HOST:PORT. Ends with 0 if all is well.
'use strict';

const assert = require('assert');
const TChannel = require('tchannel');
const TChannelJSON = require('tchannel/as/json');

const hostPort = process.argv[2];
const channel = TChannel({});
const test = channel.makeSubChannel({serviceName: 'test', peers: [hostPort]});
const json = new TChannelJSON();

// One call: resolves to {ok, arg2, arg3, as}, rejects with the error.
function call(endpoint, arg2, arg3, options) {
    options = Object.assign({
        serviceName: 'test', host: hostPort, timeout: 5000, hasNoParent: true,
        headers: {as: 'raw', cn: 'client.js'}
    }, options);
    return new Promise((resolve, reject) => {
        test.request(options).send(endpoint, arg2, arg3, (err, res, a2, a3) => {
            if (err) return reject(err);
            resolve({ok: res.ok, arg2: String(a2), arg3: String(a3), as: res.headers.as});
        });
    });
}

function callJson(endpoint, head, body) {
    const request = test.request({
        serviceName: 'test', host: hostPort, timeout: 5000, hasNoParent: true,
        headers: {cn: 'client.js'}
    });
    return new Promise((resolve, reject) => {
        json.send(request, endpoint, head, body, (err, res) => err ? reject(err) : resolve(res));
    });
}

async function fails(promise, type, message) {
    try {
        await promise;
    } catch (err) {
        assert([].concat(type).includes(err.type), err.type);
        if (message) assert.equal(err.message, message);
        return err;
    }
    throw new Error('expected ' + type);
}

async function main() {
    await new Promise(resolve => test.waitForIdentified({host: hostPort}, resolve));

    let res = await call('echo', 'head', 'body');
    assert.deepEqual(res, {ok: true, arg2: 'head', arg3: 'body', as: 'raw'});

    // CRC-32, farmhash (which we do not check) and CRC-32C.
    for (const checksumType of [1, 2, 3]) {
        res = await call('echo', 'head', 'body', {checksumType});
        assert.equal(res.arg3, 'body');
    }

    // Bodies of many frames, both ways; lengths around the ends of frames, too.
    const around = [];
    for (let i = -80; i <= 10; i++) around.push(65535 + i);
    for (const length of [...around, 200000, 1000000]) {
        const body = 'x'.repeat(length - 1) + 'y';
        res = await call('echo', 'head', body);
        assert.equal(res.arg3.length, length);
        assert(res.arg3 === body && res.arg2 === 'head', String(length));
    }

    res = await callJson('json', {h: 1}, {key: 'value'});
    assert.deepEqual([res.ok, res.head, res.body], [true, {h: 1}, {got: {key: 'value'}}]);
    res = await callJson('json error', null, {});
    assert.equal(res.ok, false);
    assert.equal(res.body.type, 'test.error');
    assert.equal(res.body.message, 'what went wrong');

    await fails(call('nope', '', ''), 'tchannel.bad-request',
        'no such endpoint service="test" endpoint="nope"');
    await fails(call('echo', '', '', {serviceName: 'other'}), 'tchannel.bad-request',
        'unknown service other');
    // Told by us, or by its own clock, whichever is first.
    await fails(call('never', '', '', {timeout: 200}),
        ['tchannel.timeout', 'tchannel.request.timeout']);
    await fails(call('busy', '', ''), 'tchannel.busy', 'not now');

    // Many at once.
    const many = Array.from({length: 500}, (_, i) => call('echo', '', String(i)));
    (await Promise.all(many)).forEach((res, i) => assert.equal(res.arg3, String(i)));
}

main().then(() => process.exit(0), err => {
    console.error(err);
    process.exit(1);
});
