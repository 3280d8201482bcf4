//! The body of a request as the gateway sees it: JSON whose members it may change, a form with one field that it may change, or bytes.

use std::ops::Range;

use bytes::Bytes;

use crate::error::GatewayError;
use crate::table::refusal::bad_body;
use crate::wire::edit::Object;
use crate::wire::multipart;

/// What was sent.
#[derive(Debug)]
pub(super) enum Payload<'b> {
    /// A JSON object.
    Json { whole: Bytes, object: Object<'b> },
    /// A multipart form, with the place of the field `model`.
    Form { whole: Bytes, model: Option<Range<usize>> },
    /// No body.
    Empty,
}

impl<'b> Payload<'b> {
    /// Reads a body by its content type. Everything that is no form must be a JSON object, whatever it calls itself.
    ///
    /// # Errors
    /// [`crate::error::Kind::BadRequest`] saying where the body is broken.
    pub(super) fn read(content_type: &str, bytes: &'b Bytes, may_be_empty: bool) -> Result<Self, GatewayError> {
        if bytes.is_empty() && may_be_empty {
            return Ok(Self::Empty);
        }
        if multipart::is_form(content_type) {
            let model = multipart::field(content_type, bytes, "model").map_err(|error| bad_body(&error))?;
            return Ok(Self::Form { whole: bytes.clone(), model });
        }
        let object = Object::scan(bytes).map_err(|error| bad_body(&error))?;
        Ok(Self::Json { whole: bytes.clone(), object })
    }

    /// Returns the object, where it is JSON.
    pub(super) const fn object(&self) -> Option<&Object<'b>> {
        match self {
            Self::Json { object, .. } => Some(object),
            Self::Form { .. } | Self::Empty => None,
        }
    }
}
