// What the server of these tests offers as KV.
namespace js kv

include "./lists.thrift"

enum Color { RED, GREEN = 5 }

union Choice {
  1: string a
  2: i32 b
}

struct Everything {
  1: required string text
  2: optional i32 n
  3: optional Color color
  4: optional binary blob
  5: optional map<string, i32> counts
  6: optional lists.Shorts shorts
  7: optional set<string> words
  8: optional bool yes
  9: optional double half
  10: optional Choice choice
  11: optional string absent
}

exception Missing {
  1: required string key
}

service KV {
  Everything get(1: string key) throws (1: Missing missing)
  void put(1: required string key, 2: required Everything value)
}
