//! Coverage in the formats of other tools: Go cover profile and LCOV.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::visible::visible;
use crate::aggregate::{Profile, ProfileFunction};

/// Whose format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileFormat {
    /// What `go test -coverprofile` writes, mode `set` (`golang.org/x/tools/cover`, `profile.go`).
    Go,
    /// A tracefile of `geninfo(1)`, of the LCOV project.
    Lcov,
}

impl ProfileFormat {
    /// Writes a profile in this format.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(self, profile: &Profile, out: impl Write) -> io::Result<()> {
        let mut out = io::BufWriter::with_capacity(1 << 16, out);
        match self {
            Self::Go => go(profile, &mut out)?,
            Self::Lcov => lcov(profile, &mut out)?,
        }
        out.flush()
    }
}

/// A line of goinstr's is a block from its first column to the next line's.
fn go(profile: &Profile, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "mode: set")?;
    for (name, file) in &profile.files {
        let name = visible(name);
        for (block, ran) in file.by_block() {
            let (start, end) = (block.start, block.end);
            writeln!(
                out,
                "{name}:{}.{},{}.{} {} {}",
                start.0,
                start.1,
                end.0,
                end.1,
                block.statements,
                u8::from(ran)
            )?;
        }
    }
    Ok(())
}

fn lcov(profile: &Profile, out: &mut impl Write) -> io::Result<()> {
    let mut functions: BTreeMap<&str, Vec<(&str, u32, &ProfileFunction)>> = BTreeMap::new();
    for (name, function) in &profile.functions {
        if let Some((path, line)) = &function.place {
            let of_file = functions.entry(path).or_default();
            of_file.push((name, *line, function));
        }
    }
    writeln!(out, "TN:")?;
    for (name, file) in &profile.files {
        let path = file.path.as_deref().unwrap_or(name);
        writeln!(out, "SF:{}", visible(path))?;
        let of_file = functions.get(path).map_or(&[][..], Vec::as_slice);
        for (name, line, _) in of_file {
            writeln!(out, "FN:{line},{}", visible(name))?;
        }
        for (name, _, function) in of_file {
            writeln!(out, "FNDA:{},{}", u8::from(function.ran), visible(name))?;
        }
        let ran = of_file.iter().filter(|(.., function)| function.ran).count();
        writeln!(out, "FNF:{}\nFNH:{ran}", of_file.len())?;
        let lines = file.by_line();
        for (line, ran) in &lines {
            writeln!(out, "DA:{line},{}", u8::from(*ran))?;
        }
        let ran = lines.values().filter(|&&ran| ran).count();
        writeln!(out, "LF:{}\nLH:{ran}\nend_of_record", lines.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: ProfileFormat) -> String {
        let json = r#"{"type":"coverage","function":"main.a","package":"main","file":"/x/a.go","line":1,"covered":true}
{"type":"coverage","function":"main.b","package":"main","file":"/x/a.go","line":9,"covered":false}
{"type":"lines","file":"/x/a.go","import":"example.com/x/a.go","covered":[2,4],"uncovered":[3,10]}
"#;
        let profile = Profile::parse(json).expect("a profile");
        let mut text = Vec::new();
        format.write(&profile, &mut text).expect("written");
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn a_go_profile() {
        let text = written(ProfileFormat::Go);
        insta::assert_snapshot!(text, @r"
        mode: set
        example.com/x/a.go:2.1,3.1 1 1
        example.com/x/a.go:3.1,4.1 1 0
        example.com/x/a.go:4.1,5.1 1 1
        example.com/x/a.go:10.1,11.1 1 0
        ");
        let again = Profile::parse(&text).expect("a profile");
        assert_eq!(again.files["example.com/x/a.go"].lines.len(), 4);
    }

    #[test]
    fn a_tracefile_of_lcov() {
        insta::assert_snapshot!(written(ProfileFormat::Lcov), @r"
        TN:
        SF:/x/a.go
        FN:1,main.a
        FN:9,main.b
        FNDA:1,main.a
        FNDA:0,main.b
        FNF:2
        FNH:1
        DA:2,1
        DA:3,0
        DA:4,1
        DA:10,0
        LF:4
        LH:2
        end_of_record
        ");
    }
}
