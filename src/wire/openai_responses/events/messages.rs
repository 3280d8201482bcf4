//! Writes messages, and the texts and refusals in them.

use super::encode::{Encoder, ITEM_BYTES};
use super::log::place;
use super::opening::{Message, Piece, listed, push};
use crate::wire::ir::Citation;
use crate::wire::json::{Json, Writer};
use crate::wire::openai_responses::annotation;
use crate::wire::openai_responses::answer::{self, Head};

impl Encoder {
    /// Opens a text or a refusal in the running message, or in a new one. Returns the message's number and its own.
    pub(super) fn open_piece(&mut self, is_refusal: bool, out: &mut Vec<u8>) -> (u64, u64) {
        if !self.messages.iter().any(|message| message.is_current) {
            let index = self.open_item(out);
            let id = self.item_id("msg_", index);
            self.added(out, index, |writer| answer::message(writer, Head { id: &id, status: "in_progress", kept: &[] }, |_| {}));
            self.messages.push(Message { index, pieces: Vec::new(), open: 0, is_current: true });
        }
        let Some(message) = self.messages.iter_mut().find(|message| message.is_current) else { return (0, 0) };
        let (index, content) = (message.index, message.pieces.len() as u64);
        message.pieces.push(Piece { is_refusal, ..Piece::default() });
        message.open += 1;
        self.kept += ITEM_BYTES;
        let id = self.item_id("msg_", index);
        self.log.event(out, "response.content_part.added", |writer| {
            place(writer, &id, index);
            writer.key("content_index").count(content);
            writer.key("part");
            write_piece(writer, &Piece { is_refusal, ..Piece::default() });
        });
        (index, content)
    }

    fn piece(&mut self, message: u64, content: u64) -> Option<&mut Piece> {
        let message = self.messages.iter_mut().find(|known| known.index == message)?;
        message.pieces.get_mut(usize::try_from(content).ok()?)
    }

    pub(super) fn said(&mut self, message: u64, content: u64, text: &str, out: &mut Vec<u8>) {
        let id = self.item_id("msg_", message);
        let Some(piece) = self.piece(message, content) else { return };
        piece.text.push_str(text);
        let is_refusal = piece.is_refusal;
        let name = if is_refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        self.log.event(out, name, |writer| {
            place(writer, &id, message);
            writer.key("content_index").count(content);
            writer.key("delta").text(text);
            if !is_refusal {
                // They come behind the text; the end has them all.
                writer.key("logprobs").raw("[]");
            }
        });
    }

    pub(super) fn cited(&mut self, message: u64, content: u64, citation: &Citation<'_>, out: &mut Vec<u8>) {
        if !annotation::carries(citation) {
            return;
        }
        let id = self.item_id("msg_", message);
        let Some(piece) = self.piece(message, content) else { return };
        let mut raw = Vec::new();
        let length = piece.text.chars().count() as u64;
        annotation::write(&mut Writer::one_line(&mut raw), citation, (0, length));
        let raw = String::from_utf8(raw).unwrap_or_default();
        push(&mut piece.annotations, &raw);
        let number = piece.cited;
        piece.cited += 1;
        self.log.event(out, "response.output_text.annotation.added", |writer| {
            place(writer, &id, message);
            writer.key("content_index").count(content);
            writer.key("annotation_index").count(number);
            writer.key("annotation").raw(&raw);
        });
    }

    pub(super) fn piece_end(&mut self, message: u64, content: u64, out: &mut Vec<u8>) {
        let id = self.item_id("msg_", message);
        let Some(piece) = self.piece(message, content).map(std::mem::take) else { return };
        let (name, member) = if piece.is_refusal { ("response.refusal.done", "refusal") } else { ("response.output_text.done", "text") };
        self.log.event(out, name, |writer| {
            place(writer, &id, message);
            writer.key("content_index").count(content);
            writer.key(member).text(&piece.text);
            if !piece.is_refusal {
                writer.key("logprobs").raw(&listed(&piece.logprobs));
            }
        });
        self.log.event(out, "response.content_part.done", |writer| {
            place(writer, &id, message);
            writer.key("content_index").count(content);
            writer.key("part");
            write_piece(writer, &piece);
        });
        if let Some(kept) = self.piece(message, content) {
            *kept = piece;
        }
        if let Some(known) = self.messages.iter_mut().find(|known| known.index == message) {
            known.open = known.open.saturating_sub(1);
        }
        self.close_messages("completed", out);
    }

    /// Closes the messages that nothing more joins.
    pub(super) fn close_messages(&mut self, status: &str, out: &mut Vec<u8>) {
        while let Some(at) = self.messages.iter().position(|message| !message.is_current && message.open == 0) {
            let message = self.messages.remove(at);
            let id = self.item_id("msg_", message.index);
            let mut item = Vec::new();
            answer::message(&mut Writer::one_line(&mut item), Head { id: &id, status, kept: &[] }, |writer| {
                message.pieces.iter().for_each(|piece| write_piece(writer, piece));
            });
            self.done(out, message.index, item);
        }
    }

    pub(super) fn likely(&mut self, logprobs: &Json<'_>) {
        let list = answer::entries(logprobs);
        let Some(piece) = self.messages.last_mut().and_then(|message| message.pieces.last_mut()) else { return };
        let inner = list.trim().strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or_default();
        self.kept += inner.len();
        push(&mut piece.logprobs, inner.trim());
    }
}

fn write_piece(writer: &mut Writer<'_>, piece: &Piece) {
    if piece.is_refusal {
        answer::refusal(writer, &piece.text);
    } else {
        answer::text(writer, &piece.text, &listed(&piece.annotations), Some(&listed(&piece.logprobs)));
    }
    writer.end_object();
}
