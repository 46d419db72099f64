typedef list<i16> Shorts
