'use strict';
// Stands in for the package `metrics`, which not every mirror of the npm registry has.
// ringpop uses Meter (request rates in /admin/stats) and Histogram (ping timing,
// whose median also sets the gossip period).  Nothing here goes on the wire
// except the numbers in /admin/stats.

var SAMPLE = 1028;

function Ewma() {}
Ewma.prototype.stop = function stop() {};

function Meter() {
    this.count = 0;
    this.since = Date.now();
    this.m1Rate = new Ewma();
    this.m5Rate = new Ewma();
    this.m15Rate = new Ewma();
}
Meter.prototype.mark = function mark(n) {
    this.count += n === undefined ? 1 : n;
};
Meter.prototype.meanRate = function meanRate() {
    return this.count / Math.max(0.001, (Date.now() - this.since) / 1000);
};
Meter.prototype.rates = function rates() {
    var m = this.meanRate();
    return {1: m, 5: m, 15: m, mean: m};
};
Meter.prototype.printObj = function printObj() {
    var m = this.meanRate();
    return {type: 'meter', count: this.count, m1: m, m5: m, m15: m, mean: m, unit: 'seconds'};
};

function Histogram() {
    this.clear();
}
Histogram.prototype.clear = function clear() {
    this.values = [];
    this.next = 0;
    this.count = 0;
    this.sum = 0;
    this.min = null;
    this.max = null;
};
Histogram.prototype.update = function update(v) {
    this.count++;
    this.sum += v;
    if (this.min === null || v < this.min) this.min = v;
    if (this.max === null || v > this.max) this.max = v;
    if (this.values.length < SAMPLE) {
        this.values.push(v);
    } else {
        this.values[this.next] = v;
        this.next = (this.next + 1) % SAMPLE;
    }
};
Histogram.prototype.mean = function mean() {
    return this.count ? this.sum / this.count : null;
};
Histogram.prototype.percentiles = function percentiles(ps) {
    var sorted = this.values.slice().sort(function asc(a, b) { return a - b; });
    var out = {};
    ps.forEach(function each(p) {
        var pos = p * (sorted.length + 1);
        if (!sorted.length) {
            out[p] = null;
        } else if (pos < 1) {
            out[p] = sorted[0];
        } else if (pos >= sorted.length) {
            out[p] = sorted[sorted.length - 1];
        } else {
            var lo = sorted[Math.floor(pos) - 1];
            var hi = sorted[Math.ceil(pos) - 1];
            out[p] = lo + (pos - Math.floor(pos)) * (hi - lo);
        }
    });
    return out;
};
Histogram.prototype.printObj = function printObj() {
    var p = this.percentiles([0.5, 0.75, 0.95, 0.99, 0.999]);
    return {
        type: 'histogram', min: this.min, max: this.max, sum: this.sum,
        variance: 0, mean: this.mean(), std_dev: 0, count: this.count,
        median: p[0.5], p75: p[0.75], p95: p[0.95], p99: p[0.99], p999: p[0.999]
    };
};

function Counter() {
    this.count = 0;
}
Counter.prototype.inc = function inc(n) { this.count += n || 1; };
Counter.prototype.dec = function dec(n) { this.count -= n || 1; };

module.exports = {Meter: Meter, Histogram: Histogram, Counter: Counter, Timer: Histogram};
