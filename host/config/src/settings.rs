//! Settings that are stated once: where they are used, with their values, their default and their meaning.

use crate::kind::Kind;
use crate::table::Table;

/// What a crate can be told, key by key. Declared with [`settings!`](crate::settings!).
pub trait Settings: Sized {
    /// Every key, with its value here as the default.
    fn describe(&self) -> Vec<Setting>;

    /// Reads the keys of a table; what is missing or wrong is as in `base`. The table may also have keys of others.
    fn read(table: &mut Table<'_>, base: &Self) -> Self;

    /// Reads only the keys that may be set again in a narrower place, such as one listener of a gate; all others are as in `base`.
    fn read_again(table: &mut Table<'_>, base: &Self) -> Self;
}

/// One key as it is documented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the table.
    pub key: &'static str,
    /// Its default as it would be written in a file; `None` if it has none.
    pub default: Option<String>,
    /// Completes the text "allowed: ...".
    pub allowed: String,
    /// What it means, with its unit and what happens at the limit.
    pub meaning: String,
    /// Whether it may be set again in a narrower place.
    pub again: bool,
}

impl Setting {
    /// A key with these values; `lines` are those of its doc comment.
    pub fn new<T: 'static>(key: &'static str, lines: &[&str], kind: &Kind<T>, default: Option<&T>) -> Setting {
        let meaning = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        Setting { key, default: default.map(|value| kind.literal(value)), allowed: kind.allowed().to_owned(), meaning, again: false }
    }
}

/// Declares a struct of options, each field once: its doc comment, its key if that is not its name, its type, its default, and the [`Kind`]
/// of values that it can have. With `again` after it, the key may be set again in a narrower place. Fields after `..` are not keys of this
/// table.
///
/// ```
/// duet_config::settings! {
///     /// What one client may do.
///     #[derive(Debug, Clone, PartialEq)]
///     pub struct Limits {
///         /// Messages in a second. Further ones are answered `busy`.
///         pub messages["messages_per_second"]: u32 = 50, duet_config::integer().range(1..=1_000_000);
///         /// Whether a request that fails is answered.
///         pub answers: bool = true, duet_config::boolean(), again;
///         ..
///         /// Who is asked.
///         pub name: String = "gate".into();
///     }
/// }
///
/// use duet_config::{Document, Report, Settings};
/// let report = Report::new();
/// let document = Document::toml("duet.toml", "messages_per_second = 7", &report);
/// let limits = Limits::read(&mut document.root(), &Limits::default());
/// assert_eq!(limits, Limits { messages: 7, ..Limits::default() });
/// let [messages, answers] = &Limits::default().describe()[..] else { panic!() };
/// assert_eq!((messages.key, messages.default.as_deref()), ("messages_per_second", Some("50")));
/// assert_eq!((messages.allowed.as_str(), answers.again), ("1 to 1000000", true));
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field_vis:vis $field:ident $([$key:literal])? : $type:ty = $default:expr, $kind:expr $(, $again:ident)?;
            )*
            $(..
                $(
                    $(#[doc = $other_doc:literal])*
                    $other_vis:vis $other:ident : $other_type:ty = $other_default:expr;
                )*
            )?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $(
                $(#[doc = $doc])*
                #[doc = concat!("\n\nDefault `", stringify!($default), "`; values `", stringify!($kind), "`.")]
                $field_vis $field: $type,
            )*
            $($(
                $(#[doc = $other_doc])*
                $other_vis $other: $other_type,
            )*)?
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* $($($other: $other_default,)*)? }
            }
        }

        impl $crate::Settings for $name {
            fn describe(&self) -> ::std::vec::Vec<$crate::Setting> {
                ::std::vec![$({
                    let kind: $crate::Kind<$type> = $kind;
                    let lines: &[&str] = &[$($doc),*];
                    let again = false $(|| $crate::settings!(@again $again))?;
                    let setting = $crate::Setting::new($crate::settings!(@key $field $($key)?), lines, &kind, Some(&self.$field));
                    $crate::Setting { again, ..setting }
                }),*]
            }

            fn read(table: &mut $crate::Table<'_>, base: &Self) -> Self {
                Self {
                    $($field: table.get($crate::settings!(@key $field $($key)?), &$kind).or(::core::clone::Clone::clone(&base.$field)),)*
                    $($($other: ::core::clone::Clone::clone(&base.$other),)*)?
                }
            }

            fn read_again(table: &mut $crate::Table<'_>, base: &Self) -> Self {
                // Unused if no setting of the struct is `again`.
                let _ = &table;
                Self {
                    $($field: $crate::settings!(@read table base $field ($crate::settings!(@key $field $($key)?)) ($kind) $($again)?),)*
                    $($($other: ::core::clone::Clone::clone(&base.$other),)*)?
                }
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@again again) => { true };
    (@read $table:ident $base:ident $field:ident ($key:expr) ($kind:expr)) => { ::core::clone::Clone::clone(&$base.$field) };
    (@read $table:ident $base:ident $field:ident ($key:expr) ($kind:expr) again) => { $table.get($key, &$kind).or(::core::clone::Clone::clone(&$base.$field)) };
}
