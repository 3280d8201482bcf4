//! Where a change is, for machines and for people.

/// A place in the model.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// JSON pointer.
    pub(super) pointer: String,
    /// The same with dots and brackets.
    pub(super) path: String,
}

impl Place {
    /// Starts at a section.
    pub(super) fn section(name: &str) -> Self {
        Self { pointer: format!("/{}", escaped(name)), path: name.to_owned() }
    }

    /// Goes to a field, or to an entry by its name.
    pub(super) fn member(&self, name: &str) -> Self {
        let path = if is_plain(name) { format!("{}.{name}", self.path) } else { format!("{}[{name}]", self.path) };
        Self { pointer: format!("{}/{}", self.pointer, escaped(name)), path }
    }

    /// Goes to an item of a list, which people know by what it is and machines by where it stands.
    pub(super) fn item(&self, index: usize, identity: &str) -> Self {
        Self { pointer: format!("{}/{index}", self.pointer), path: format!("{}[{identity}]", self.path) }
    }

    /// Goes to a member that the spec does not have, so that people do not see it.
    pub(super) fn hidden(&self, name: &str) -> Self {
        Self { pointer: format!("{}/{name}", self.pointer), path: self.path.clone() }
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Returns whether a name can stand between dots.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|it| it.is_alphanumeric() || matches!(it, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_dots_or_slashes_stand_in_brackets() {
        let place = Place::section("models").member("gpt-4.1").member("targets").item(2, "openai/gpt-4.1").member("weight");
        assert_eq!(place.path, "models[gpt-4.1].targets[openai/gpt-4.1].weight");
        assert_eq!(place.pointer, "/models/gpt-4.1/targets/2/weight");
        assert_eq!(Place::section("models").member("a/b~c").pointer, "/models/a~1b~0c");
    }
}
