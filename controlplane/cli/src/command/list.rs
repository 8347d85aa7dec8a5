//! What every list takes: which items, and in which order. Both are the server's to judge.

/// Options of a list.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ListArgs {
    /// Only items of which this is true, e.g. 'phase = RUNNING AND NOT node : "sites/tokyo-1/nodes/n-01"'
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    pub filter: String,
    /// Fields to order by, e.g. 'submitted_ms desc, name'
    #[arg(long, value_name = "FIELDS", default_value = "", hide_default_value = true)]
    pub sort: String,
}

impl ListArgs {
    /// Whether anything but the whole list, by key, is asked for.
    pub(crate) fn is_given(&self) -> bool {
        !self.filter.is_empty() || !self.sort.is_empty()
    }
}

/// What the answers of every list say beside their items.
macro_rules! beside {
    ($page:expr) => {
        $crate::output::Listed { revision: $page.revision, unreachable: $page.unreachable }
    };
}
pub(crate) use beside;

/// Every page of a list: the rows of all of them, and the last page without rows, for what it says beside. Ends the function
/// with a page's failure. With a bound, no page is asked for after so many rows.
macro_rules! pages {
    ($rows:ident, |$token:ident| $asked:expr) => {
        $crate::command::list::pages!($rows, usize::MAX, |$token| $asked)
    };
    ($rows:ident, $most:expr, |$token:ident| $asked:expr) => {{
        let most: usize = $most;
        let (mut rows, mut $token) = (Vec::new(), String::new());
        loop {
            let mut page = $asked?;
            rows.append(&mut page.$rows);
            if page.next_page_token.is_empty() || rows.len() >= most {
                break (rows, page);
            }
            $token = page.next_page_token;
        }
    }};
}
pub(crate) use pages;
