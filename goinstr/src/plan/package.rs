//! The package of a function, from its name alone.

/// The import path of the package that the function `name` belongs to, as the linker writes it
/// (`gopkg.in/yaml%2ev3`), e.g. `net/http` for `net/http.(*conn).serve`.
///
/// Empty for names that belong to none, such as `type:.eq.main.T` and C functions.
#[must_use]
pub fn package(name: &str) -> &str {
    if name.starts_with("type:") || name.starts_with("go:") {
        return "";
    }
    // Type arguments and receivers have paths of their own: what counts stands before them.
    let head = name.find(['[', '(']).map_or(name, |at| &name[..at]);
    let base = head.rfind('/').map_or(0, |at| at + 1);
    head[base..].find('.').map_or("", |dot| &head[..base + dot])
}

#[cfg(test)]
mod tests {
    use super::package;

    #[test]
    fn packages_end_at_the_first_dot_after_the_last_slash_of_the_path() {
        for (name, expected) in [
            ("main.work", "main"),
            ("net/http.(*conn).serve", "net/http"),
            (
                "github.com/acme/app/store.Get.func1",
                "github.com/acme/app/store",
            ),
            ("gopkg.in/yaml%2ev3.(*Node).Decode", "gopkg.in/yaml%2ev3"),
            ("main.F[github.com/acme/app/store.Key]", "main"),
            ("main.(*Cache[go.shape.string,net/url.URL]).Get", "main"),
            ("sort.Slice[...].func1", "sort"),
            ("glob..func1", "glob"),
            ("type:.eq.main.T", ""),
            ("go:buildid", ""),
            ("_cgo_init", ""),
            ("", ""),
            ("[]", ""),
        ] {
            assert_eq!(package(name), expected, "{name}");
        }
    }
}
