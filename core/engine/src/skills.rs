//! The things that only some miners can do.

/// A set of things that only some miners can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skills(u8);

impl Skills {
    /// To pass requests on to routes of a model's server beside chats.
    pub const ROUTES: Self = Self(1);
    /// To take the bodies of Anthropic's Messages API as they are.
    pub const MESSAGES: Self = Self(2);
    /// To take the bodies of OpenAI's Responses API as they are.
    pub const RESPONSES: Self = Self(4);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of the others are among these.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// The set as a number, for other routers.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set with that number.
    pub const fn of_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
