// The subcommands that talk to a running Weir, or make files.
#pragma once

namespace CLI {
class App;
}

namespace weir {

// Adds init, sql, send, generate and verify; each sets `exit_code` when it ran.
void AddCommands(CLI::App& app, int& exit_code);

}  // namespace weir
