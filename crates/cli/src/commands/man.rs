//! `man`: the manual page, one for all commands.

use std::io;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::args::grammar;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Runs the command.
pub(crate) fn run(context: &Context) -> Result<Exit, CliError> {
    let page = page().map_err(|error| CliError::failed("cannot write the manual page").because(&error))?;
    context.output.raw(&page)?;
    Ok(Exit::Done)
}

fn page() -> io::Result<Vec<u8>> {
    let mut grammar = grammar();
    grammar.build();
    let mut page = Vec::new();
    let whole = Man::new(grammar.clone());
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    render_commands(&grammar, &mut page)?;
    exit_status().to_writer(&mut page)?;
    Ok(page)
}

/// Every command with its own options, those within commands too; the global ones stand above already.
fn render_commands(parent: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    for command in parent.get_subcommands().filter(|command| command.get_name() != "help") {
        let title = command.get_bin_name().unwrap_or(command.get_name()).to_uppercase();
        let mut head = Roff::new();
        head.control("SH", [title.as_str()]);
        head.to_writer(page)?;
        let own = command.clone().mut_args(|arg| {
            let is_global = arg.is_global_set();
            arg.hide(is_global)
        });
        for section in [Section::Description, Section::Synopsis, Section::Options] {
            page.extend(section.of(&Man::new(own.clone()))?);
        }
        render_commands(command, page)?;
    }
    Ok(())
}

/// A part of a command's description.
#[derive(Clone, Copy)]
enum Section {
    Description,
    Synopsis,
    Options,
}

impl Section {
    /// The part, one level of headings deeper than it stands in a page of its own.
    fn of(self, man: &Man) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        match self {
            Self::Description => man.render_description_section(&mut text)?,
            Self::Synopsis => man.render_synopsis_section(&mut text)?,
            Self::Options => man.render_options_section(&mut text)?,
        }
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().map(|line| match line.strip_prefix(".SH ") {
            Some(title) => format!(".SS {title}\n"),
            None => format!("{line}\n"),
        });
        Ok(lines.collect::<String>().into_bytes())
    }
}

fn exit_status() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        roff.control("TP", []);
        roff.text([roman(exit.code().to_string())]);
        roff.text([roman(exit.sentence())]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_command_flag_and_exit_code() {
        let page = String::from_utf8(page().unwrap()).unwrap();
        for word in [
            "SKYHAUL PULL",
            "SKYHAUL ENGINE RUN",
            "SKYHAUL DATASETS SHOW",
            "EXIT STATUS",
            "until\\-idle",
            "130",
        ] {
            assert!(page.contains(word), "{word}");
        }
        let global = page.matches("state\\-dir").count();
        assert!(global <= 4, "global flags are told once, not with every command: {global}");
    }
}
