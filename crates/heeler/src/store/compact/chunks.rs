//! The elements of a big list: strips one after the other, with room at the ends of the first and
//! the last, so that elements are added and taken there without moving others. Whoever looks for
//! an index passes whole strips.

use std::collections::VecDeque;
use std::ops::Range;

use super::element::{Code, Piece};
use super::strip::{Strip, first_width, last_width, width, write};
use crate::store::allocation;
use crate::store::quicklist::End;

/// Room for a strip's first elements.
const FIRST_BYTES: usize = 1024;

/// How much one strip may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Bounds {
    /// Bytes; one element may have more.
    pub(in crate::store) bytes: usize,
    /// Elements.
    pub(in crate::store) elements: usize,
}

/// Strips of elements.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Chunks {
    chunks: VecDeque<Chunk>,
    len: usize,
    /// Bytes of the chunks' buffers.
    buffers: usize,
}

/// A strip with room before and after it; it has an element.
#[derive(Clone, Debug)]
struct Chunk {
    buffer: Box<[u8]>,
    start: u32,
    end: u32,
    count: u32,
}

impl Chunk {
    /// A strip without room for more.
    fn exact(count: usize, strip: &[u8]) -> Chunk {
        Chunk {
            buffer: strip.into(),
            start: 0,
            end: strip.len() as u32,
            count: count as u32,
        }
    }

    fn strip(&self) -> &[u8] {
        &self.buffer[self.start as usize..self.end as usize]
    }

    fn len(&self) -> usize {
        self.count as usize
    }

    fn used(&self) -> usize {
        (self.end - self.start) as usize
    }

    fn fits(&self, code: &Code<'_>, bounds: Bounds) -> bool {
        self.count == 0 || self.used() + width(code) <= bounds.bytes && self.len() < bounds.elements
    }

    fn push(&mut self, end: End, code: &Code<'_>, bounds: Bounds) {
        let width = width(code);
        let room = match end {
            End::Left => self.start as usize,
            End::Right => self.buffer.len() - self.end as usize,
        };
        if room < width {
            self.make_room(end, width, bounds);
        }
        let at = match end {
            End::Left => {
                self.start -= width as u32;
                self.start as usize
            }
            End::Right => {
                self.end += width as u32;
                self.end as usize - width
            }
        };
        write(code, &mut self.buffer[at..at + width]);
        self.count += 1;
    }

    /// Makes room for so many bytes at an end: by moving the strip if there is much room at the
    /// other one, so that each byte is moved a bounded number of times.
    fn make_room(&mut self, end: End, width: usize, bounds: Bounds) {
        let (used, capacity) = (self.used(), self.buffer.len());
        let mut free = capacity - used;
        let slides = free >= width && free >= capacity / 2;
        if !slides {
            let needed = used + width;
            let doubled = (capacity * 2).max(FIRST_BYTES).min(bounds.bytes);
            free = doubled.max(needed) - used;
        }
        let start = match (end, slides) {
            (End::Left, true) => width.max(free / 2),
            (End::Right, true) => free - width.max(free / 2),
            (End::Left, false) => free,
            (End::Right, false) => 0,
        };
        let old = self.start as usize..self.end as usize;
        if slides {
            self.buffer.copy_within(old, start);
        } else {
            let mut buffer = vec![0; used + free];
            buffer[start..start + used].copy_from_slice(&self.buffer[old]);
            self.buffer = buffer.into_boxed_slice();
        }
        self.start = start as u32;
        self.end = (start + used) as u32;
    }

    /// Gives back room that is not used.
    fn fit(&mut self) {
        if self.buffer.len() - self.used() > self.buffer.len() / 8 {
            *self = Chunk::exact(self.len(), self.strip());
        }
    }

    /// Takes the element at an end, told to `taken`.
    fn pop<T>(&mut self, end: End, taken: impl FnOnce(Piece<'_>) -> T) -> Option<T> {
        let mut strip = Strip(self.strip());
        let (before, found) = match end {
            End::Left => (strip.0.len(), strip.next()?),
            End::Right => (strip.0.len(), strip.next_back()?),
        };
        let width = (before - strip.0.len()) as u32;
        let taken = taken(found);
        match end {
            End::Left => self.start += width,
            End::Right => self.end -= width,
        }
        self.count -= 1;
        Some(taken)
    }

    /// Where the element with this index is in the strip.
    fn place(&self, index: usize) -> Range<usize> {
        let strip = self.strip();
        if index < self.len() / 2 {
            let start = (0..index).fold(0, |at, _| at + first_width(&strip[at..]));
            start..start + first_width(&strip[start..])
        } else {
            let after = self.len() - 1 - index;
            let end = (0..after).fold(strip.len(), |at, _| at - last_width(&strip[..at]));
            end - last_width(&strip[..end])..end
        }
    }

    /// Puts an element, or none, in the place of one or of none.
    fn splice(&mut self, place: Range<usize>, new: Option<&Code<'_>>) {
        let strip = self.strip();
        let width = new.map_or(0, width);
        let tail = &strip[place.end..];
        let mut bytes = vec![0; place.start + width + tail.len()];
        bytes[..place.start].copy_from_slice(&strip[..place.start]);
        bytes[place.start + width..].copy_from_slice(tail);
        if let Some(code) = new {
            write(code, &mut bytes[place.start..place.start + width]);
        }
        let removed = usize::from(!place.is_empty());
        let count = self.len() + usize::from(new.is_some()) - removed;
        *self = Chunk::exact(count, &bytes);
    }

    /// In two: the first has so many elements.
    fn divided(&self, first: usize) -> [Chunk; 2] {
        let (before, after) = self.strip().split_at(self.place(first).start);
        [
            Chunk::exact(first, before),
            Chunk::exact(self.len() - first, after),
        ]
    }

    /// Bytes of the buffer, and number of elements.
    fn sizes(&self) -> (usize, usize) {
        (self.buffer.len(), self.len())
    }

    fn exceeds(&self, bounds: Bounds) -> bool {
        self.len() > 1 && (self.used() > bounds.bytes || self.len() > bounds.elements)
    }
}

impl Chunks {
    /// The elements of one strip.
    pub(in crate::store) fn of_strip(count: usize, strip: &[u8]) -> Chunks {
        let mut chunks = Chunks::default();
        if count > 0 {
            chunks.len = count;
            chunks.buffers = strip.len();
            chunks.chunks.push_back(Chunk::exact(count, strip));
        }
        chunks
    }

    /// The strip if there is only one.
    pub(in crate::store) fn only_strip(&self) -> Option<&[u8]> {
        match self.chunks.len() {
            0 => Some(&[]),
            1 => Some(self.chunks[0].strip()),
            _ => None,
        }
    }

    /// Number of elements.
    pub(in crate::store) fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated.
    pub(in crate::store) fn allocated(&self) -> usize {
        size_of::<Chunks>()
            + allocation::size(self.chunks.capacity() * size_of::<Chunk>())
            + self.buffers
    }

    /// The elements from the first to the last.
    pub(in crate::store) fn iter(&self) -> impl DoubleEndedIterator<Item = Piece<'_>> {
        self.chunks.iter().flat_map(|chunk| Strip(chunk.strip()))
    }

    /// Visits the elements with these indices, which are there.
    pub(in crate::store) fn visit(&self, indices: Range<usize>, visit: &mut impl FnMut(Piece<'_>)) {
        let (at, mut skipped) = self.find(indices.start);
        let mut left = indices.len();
        for chunk in self.chunks.range(at..) {
            let count = left.min(chunk.len() - skipped);
            if count == 0 {
                return;
            }
            let strip = Strip(&chunk.strip()[chunk.place(skipped).start..]);
            strip.take(count).for_each(&mut *visit);
            (left, skipped) = (left - count, 0);
        }
    }

    /// The chunk of an index, and the index there; one past the last chunk if there is none.
    fn find(&self, index: usize) -> (usize, usize) {
        if index >= self.len {
            return (self.chunks.len(), 0);
        }
        if index < self.len / 2 {
            let (mut at, mut before) = (0, 0);
            while before + self.chunks[at].len() <= index {
                before += self.chunks[at].len();
                at += 1;
            }
            return (at, index - before);
        }
        let (mut at, mut before) = (self.chunks.len() - 1, self.len);
        loop {
            before -= self.chunks[at].len();
            if before <= index {
                return (at, index - before);
            }
            at -= 1;
        }
    }

    /// The element with this index.
    pub(in crate::store) fn get(&self, index: usize) -> Option<Piece<'_>> {
        let (at, within) = self.find(index);
        let chunk = self.chunks.get(at)?;
        Strip(&chunk.strip()[chunk.place(within)]).next()
    }

    fn at_end(&mut self, end: End) -> Option<&mut Chunk> {
        match end {
            End::Left => self.chunks.front_mut(),
            End::Right => self.chunks.back_mut(),
        }
    }

    /// Adds an element at an end.
    #[inline]
    pub(in crate::store) fn push(&mut self, end: End, element: Piece<'_>, bounds: Bounds) {
        let code = Code::of(element);
        let fits = |chunk: &mut Chunk| chunk.fits(&code, bounds);
        if !self.at_end(end).is_some_and(fits) {
            self.open(end);
        }
        if let Some(chunk) = self.at_end(end) {
            let before = chunk.buffer.len();
            chunk.push(end, &code, bounds);
            let after = chunk.buffer.len();
            self.buffers = self.buffers - before + after;
            self.len += 1;
        }
    }

    /// Adds an empty chunk at an end: an element has to follow.
    fn open(&mut self, end: End) {
        if let Some(chunk) = self.at_end(end) {
            let before = chunk.buffer.len();
            chunk.fit();
            let after = chunk.buffer.len();
            self.buffers -= before - after;
        }
        let empty = Chunk::exact(0, &[]);
        match end {
            End::Left => self.chunks.push_front(empty),
            End::Right => self.chunks.push_back(empty),
        }
    }

    /// Takes the element at an end, told to `taken`.
    #[inline]
    pub(in crate::store) fn pop<T>(
        &mut self,
        end: End,
        taken: impl FnOnce(Piece<'_>) -> T,
    ) -> Option<T> {
        let chunk = self.at_end(end)?;
        let popped = chunk.pop(end, taken)?;
        let is_empty = chunk.count == 0;
        self.len -= 1;
        if is_empty {
            self.close(end);
        }
        Some(popped)
    }

    /// Takes the chunk at an end away.
    fn close(&mut self, end: End) {
        let chunk = match end {
            End::Left => self.chunks.pop_front(),
            End::Right => self.chunks.pop_back(),
        };
        if let Some(chunk) = chunk {
            self.buffers -= chunk.buffer.len();
            self.len -= chunk.len();
        }
        if self.chunks.capacity() > 64 && self.chunks.len() < self.chunks.capacity() / 8 {
            self.chunks.shrink_to(self.chunks.len() * 2);
        }
    }

    /// Replaces the element with this index, which is there.
    pub(in crate::store) fn set(&mut self, index: usize, element: Piece<'_>, bounds: Bounds) {
        let (at, within) = self.find(index);
        if let Some(place) = self.chunks.get(at).map(|chunk| chunk.place(within)) {
            self.splice(at, place, Some(&Code::of(element)), bounds);
        }
    }

    /// Adds an element before the one with this index, which is there.
    pub(in crate::store) fn insert(&mut self, index: usize, element: Piece<'_>, bounds: Bounds) {
        let (at, within) = self.find(index);
        if let Some(place) = self.chunks.get(at).map(|chunk| chunk.place(within)) {
            self.splice(
                at,
                place.start..place.start,
                Some(&Code::of(element)),
                bounds,
            );
        }
    }

    fn splice(&mut self, at: usize, place: Range<usize>, new: Option<&Code<'_>>, bounds: Bounds) {
        let before = self.chunks[at].sizes();
        self.chunks[at].splice(place, new);
        let after = self.chunks[at].sizes();
        self.buffers = self.buffers - before.0 + after.0;
        self.len = self.len - before.1 + after.1;
        if self.chunks[at].exceeds(bounds) {
            let [first, second] = self.chunks[at].divided(after.1 / 2);
            self.buffers = self.buffers - after.0 + first.buffer.len() + second.buffer.len();
            self.chunks[at] = first;
            self.chunks.insert(at + 1, second);
        }
    }

    /// Removes elements that equal this one, so many from that end on; returns how many.
    pub(in crate::store) fn remove(&mut self, element: Piece<'_>, from: End, most: usize) -> usize {
        let mut removed = 0;
        let count = self.chunks.len();
        for i in 0..count {
            let at = if from == End::Left { i } else { count - 1 - i };
            if removed < most {
                removed += self.remove_from(at, element, from, most - removed);
            }
        }
        if removed > 0 {
            self.chunks.retain(|chunk| chunk.count > 0);
            self.join();
        }
        removed
    }

    fn remove_from(&mut self, at: usize, element: Piece<'_>, from: End, most: usize) -> usize {
        let chunk = &self.chunks[at];
        let equal = Strip(chunk.strip()).filter(|piece| *piece == element);
        let equal = equal.count();
        let removed = equal.min(most);
        if removed == 0 {
            return 0;
        }
        // Of those that are equal, these stay.
        let stay = match from {
            End::Left => removed..equal,
            End::Right => 0..equal - removed,
        };
        let (mut bytes, mut rest, mut seen) = (Vec::with_capacity(chunk.used()), chunk.strip(), 0);
        while !rest.is_empty() {
            let (this, next) = rest.split_at(first_width(rest));
            let is_equal = Strip(this).next() == Some(element);
            if !is_equal || stay.contains(&seen) {
                bytes.extend_from_slice(this);
            }
            seen += usize::from(is_equal);
            rest = next;
        }
        let shorter = Chunk::exact(chunk.len() - removed, &bytes);
        self.buffers = self.buffers - chunk.buffer.len() + shorter.buffer.len();
        self.len -= removed;
        self.chunks[at] = shorter;
        removed
    }

    /// Joins neighbours that have become small.
    fn join(&mut self) {
        let mut joined: VecDeque<Chunk> = VecDeque::new();
        for chunk in std::mem::take(&mut self.chunks) {
            match joined.back_mut() {
                Some(last) if last.used() + chunk.used() <= FIRST_BYTES => {
                    let both = [last.strip(), chunk.strip()].concat();
                    *last = Chunk::exact(last.len() + chunk.len(), &both);
                }
                _ => joined.push_back(chunk),
            }
        }
        self.buffers = joined.iter().map(|chunk| chunk.buffer.len()).sum();
        self.chunks = joined;
    }

    /// Keeps the elements with these indices.
    pub(in crate::store) fn keep(&mut self, indices: Range<usize>) {
        let (mut before, mut after) = (indices.start, self.len - indices.end);
        for (end, drops) in [(End::Left, &mut before), (End::Right, &mut after)] {
            while let Some(chunk) = self.at_end(end)
                && *drops > 0
            {
                if chunk.len() > *drops {
                    let chunk = (0..*drops).filter_map(|_| chunk.pop(end, |_| ()));
                    self.len -= chunk.count();
                    break;
                }
                *drops -= chunk.len();
                self.close(end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        bytes: 200,
        elements: 20,
    };

    impl Chunks {
        fn check(&self) {
            assert_eq!(self.iter().count(), self.len);
            let buffers = self.chunks.iter().map(|chunk| chunk.buffer.len());
            assert_eq!(buffers.sum::<usize>(), self.buffers);
            for chunk in &self.chunks {
                assert_eq!(Strip(chunk.strip()).count(), chunk.len());
                // What was joined may have got one element more, and been halved by their number.
                assert!(chunk.len() == 1 || chunk.len() > 0 && chunk.used() <= 2 * FIRST_BYTES);
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(End, String),
        Pop(End),
        Set(usize, String),
        Insert(usize, String),
        Remove(String, End, usize),
        Keep(usize, usize),
    }

    fn end() -> impl Strategy<Value = End> {
        prop_oneof![Just(End::Left), Just(End::Right)]
    }

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => "[a-c]{0,2}",
            3 => (-200..200i64).prop_map(|n| n.to_string()),
            1 => (100..300usize).prop_map(|n| "x".repeat(n)),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            30 => (end(), word()).prop_map(|(e, w)| Step::Push(e, w)),
            12 => end().prop_map(Step::Pop),
            3 => (any::<usize>(), word()).prop_map(|(i, w)| Step::Set(i, w)),
            3 => (any::<usize>(), word()).prop_map(|(i, w)| Step::Insert(i, w)),
            1 => (word(), end(), 0..4usize).prop_map(|(w, e, n)| Step::Remove(w, e, n)),
            1 => (0..30usize, 0..30usize).prop_map(|(a, b)| Step::Keep(a, b)),
        ]
    }

    fn text(piece: Piece<'_>) -> String {
        piece.blob().escape_ascii().to_string()
    }

    fn apply(chunks: &mut Chunks, model: &mut VecDeque<String>, step: Step) {
        let piece = |word: &'static str| Piece::of(word.as_bytes());
        match step {
            Step::Push(end, word) => {
                chunks.push(end, piece(word.clone().leak()), BOUNDS);
                match end {
                    End::Left => model.push_front(word),
                    End::Right => model.push_back(word),
                }
            }
            Step::Pop(end) => {
                let popped = match end {
                    End::Left => model.pop_front(),
                    End::Right => model.pop_back(),
                };
                assert_eq!(chunks.pop(end, text), popped);
            }
            Step::Set(index, word) if !model.is_empty() => {
                let index = index % model.len();
                chunks.set(index, piece(word.clone().leak()), BOUNDS);
                model[index] = word;
            }
            Step::Insert(index, word) if !model.is_empty() => {
                let index = index % model.len();
                chunks.insert(index, piece(word.clone().leak()), BOUNDS);
                model.insert(index, word);
            }
            Step::Set(..) | Step::Insert(..) => {}
            Step::Remove(word, from, most) => {
                let before = model.len();
                for _ in 0..most {
                    let at = match from {
                        End::Left => model.iter().position(|w| *w == word),
                        End::Right => model.iter().rposition(|w| *w == word),
                    };
                    at.into_iter().for_each(|at| drop(model.remove(at)));
                }
                let removed = chunks.remove(piece(word.leak()), from, most);
                assert_eq!(removed, before - model.len());
            }
            Step::Keep(before, after) => {
                let start = before.min(model.len());
                let end = (model.len() - after.min(model.len())).max(start);
                chunks.keep(start..end);
                *model = model.drain(start..end).collect();
            }
        }
    }

    proptest! {
        #[test]
        fn they_are_a_deque(steps in prop::collection::vec(step(), 0..400), from in 0..500usize) {
            let (mut chunks, mut model) = (Chunks::default(), VecDeque::new());
            for step in steps {
                apply(&mut chunks, &mut model, step);
                assert_eq!(chunks.len(), model.len());
                chunks.check();
            }
            assert!(chunks.iter().map(text).eq(model.iter().cloned()));
            assert!(chunks.iter().rev().map(text).eq(model.iter().rev().cloned()));
            let range = from.min(model.len())..(from + 30).min(model.len());
            let mut found = Vec::new();
            chunks.visit(range.clone(), &mut |piece| found.push(text(piece)));
            assert!(found.iter().eq(model.range(range)));
            for index in 0..=model.len() {
                assert_eq!(chunks.get(index).map(text), model.get(index).cloned());
            }
        }
    }

    #[test]
    fn a_queue_keeps_to_few_strips() {
        for (into, from) in [(End::Left, End::Right), (End::Right, End::Left)] {
            let mut chunks = Chunks::default();
            for i in 0..10_000 {
                chunks.push(into, Piece::Int(i), BOUNDS);
                if i >= 100 {
                    assert_eq!(chunks.pop(from, text), Some((i - 100).to_string()));
                }
            }
            assert!(chunks.allocated() < 4_000, "{}", chunks.allocated());
        }
    }
}
