//! The events that were written, numbered.

use crate::wire::json::Writer;

/// Writes one event after another, and numbers them.
#[derive(Debug, Default)]
pub(super) struct Log {
    sequence: u64,
}

impl Log {
    /// Writes one event; its data repeats its name.
    pub(super) fn event(&mut self, out: &mut Vec<u8>, name: &str, members: impl FnOnce(&mut Writer<'_>)) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let mut writer = Writer::one_line(out);
        writer.begin_object();
        writer.key("type").text(name);
        writer.key("sequence_number").count(self.sequence);
        members(&mut writer);
        writer.end_object();
        out.extend_from_slice(b"\n\n");
        self.sequence += 1;
    }
}

/// Writes which item an event is of.
pub(super) fn place(writer: &mut Writer<'_>, id: &str, index: u64) {
    writer.key("item_id").text(id);
    writer.key("output_index").count(index);
}
