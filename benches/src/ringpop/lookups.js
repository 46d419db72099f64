'use strict';
// How many keys a second ringpop-node finds the owners of, in a ring of so many members.
//
//     node lookups.js MEMBERS MILLISECONDS

var Ringpop = require('ringpop');

var size = Number(process.argv[2]);
var ms = Number(process.argv[3]);
var silent = function silent() {};
var ringpop = new Ringpop({
    app: 'kv',
    hostPort: '127.0.0.1:3000',
    isCrossPlatform: true,
    logger: {trace: silent, debug: silent, info: silent, warn: silent, error: silent}
});
var addresses = [];
for (var i = 0; i < size; i++) {
    addresses.push('127.0.0.1:' + (3000 + i));
}
ringpop.ring.addRemoveServers(addresses, []);
var keys = [];
for (var n = 0; n < 1000; n++) {
    keys.push('key-' + n);
}

var used = 0;
function rate(lookup) {
    var begun = process.hrtime();
    var done = 0;
    var nanoseconds = 0;
    while (nanoseconds < ms * 1e6) {
        for (var k = 0; k < keys.length; k++) {
            used += lookup(keys[k]).length;
        }
        done += keys.length;
        var since = process.hrtime(begun);
        nanoseconds = since[0] * 1e9 + since[1];
    }
    return done / nanoseconds * 1e9;
}

var rates = {};
function measure(name, lookup) {
    rate(lookup); // V8 compiles what runs for a while.
    rates[name] = rate(lookup);
}
measure('ring', function onKey(key) {
    return ringpop.ring.lookup(key);
});
measure('ringpop', function onKey(key) {
    return ringpop.lookup(key);
});
measure('ringpop_n3', function onKey(key) {
    return ringpop.lookupN(key, 3);
});
console.log(JSON.stringify(rates));
process.exit(used > 0 ? 0 : 1);
