#include "app/commands.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "app/generate.h"
#include "app/init.h"
#include "app/send.h"
#include "app/shell.h"
#include "app/top.h"
#include "app/verify_command.h"

namespace weir {
namespace {

constexpr const char* kDefaultUrl = "http://127.0.0.1:7070";

template <class Options>
std::shared_ptr<Options> Keep(CLI::App* command) {
  auto options = std::make_shared<Options>();
  command->add_option("--url", options->url, "where Weir runs")->default_val(kDefaultUrl);
  return options;
}

}  // namespace

// A list of commands.
// NOLINTNEXTLINE(readability-function-size)
void AddCommands(CLI::App& app, int& exit_code) {
  auto* init = app.add_subcommand("init", "write a small project to start from");
  auto folder = std::make_shared<std::string>();
  init->add_option("DIR", *folder, "the new folder")->required();
  init->callback([&exit_code, folder] { exit_code = RunInit(*folder); });

  auto* sql = app.add_subcommand("sql", "ask with SQL: a prompt, or -c SQL, or standard input");
  auto shell = Keep<ShellOptions>(sql);
  sql->add_option("-c,--command", shell->sql, "run this and exit");
  sql->add_option("--format", shell->format, "box, csv or json")
      ->check(CLI::IsMember({"box", "csv", "json"}))
      ->default_val("box");
  sql->callback([&exit_code, shell] { exit_code = RunShell(*shell); });

  auto* send = app.add_subcommand(
      "send", "send events from a file or standard input to a stream, or rows to a table");
  auto sending = Keep<SendOptions>(send);
  send->add_option("STREAM", sending->stream, "the stream or table")->required();
  send->add_option("FILE", sending->file, "a file, or - for standard input")->default_val("-");
  send->add_option("--format", sending->format,
                   "ndjson, csv or json; by the file's name if not said")
      ->check(CLI::IsMember({"ndjson", "csv", "json"}));
  send->add_option("--batch", sending->batch_rows, "rows in one request")
      ->check(CLI::Range(1, 10'000'000))
      ->default_val(10000);
  send->callback([&exit_code, sending] { exit_code = RunSend(*sending); });

  auto* generate = app.add_subcommand("generate", "make example events");
  generate->require_subcommand(1);
  auto* signups = generate->add_subcommand(
      "signups",
      "sign-in and sign-up events with a daily and weekly rhythm: to standard output, "
      "or to a running Weir");
  auto generating = std::make_shared<GenerateOptions>();
  signups->add_option("--rate", generating->rate, "live events a second, on average; 0: none")
      ->default_val(11.6);
  signups->add_option("--count", generating->count, "at most so many events in all")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000'000}));
  signups->add_option("--history", generating->history, "first so much of the past, as 30d or 12h")
      ->default_val("0d");
  signups->add_option("--history-rate", generating->per_day, "events a day of history")
      ->default_val(1'000'000);
  signups->add_option("--seed", generating->seed, "the same seed gives the same events")
      ->default_val(1);
  signups->add_option("--to", generating->to, "URL of a running Weir; its stream is \"events\"");
  signups->add_option("--stream", generating->stream, "the stream")->default_val("events");
  signups->add_option("--state", generating->state_file,
                      "a file that remembers how far it came, so that a second run goes on there");
  signups->callback([&exit_code, generating] { exit_code = RunGenerate(*generating); });

  auto* nexmark =
      generate->add_subcommand("nexmark",
                               "an auction house's people, auctions and bids (the Nexmark "
                               "benchmark): to standard output, or "
                               "into the streams person, auction and bid of a running Weir");
  auto bidding = std::make_shared<GenerateNexmarkOptions>();
  nexmark->add_option("--rate", bidding->rate, "events a second; 0: as fast as it goes")
      ->default_val(10'000);
  nexmark->add_option("--count", bidding->count, "so many events in all; without it, until Ctrl-C")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000'000}));
  nexmark->add_option("--seed", bidding->seed, "the same seed gives the same events")
      ->default_val(1);
  nexmark->add_option("--to", bidding->to, "URL of a running Weir");
  nexmark->callback([&exit_code, bidding] { exit_code = RunGenerateNexmark(*bidding); });

  auto* top = app.add_subcommand(
      "top", "views and operators with rows a second, state, share of time; refreshed each second");
  auto looking = Keep<TopOptions>(top);
  top->add_flag("--once", looking->once, "one look, as plain text");
  top->add_flag("--json", looking->json, "one look, as JSON");
  top->callback([&exit_code, looking] { exit_code = RunTop(*looking); });

  auto* verify = app.add_subcommand(
      "verify", "compare views with their queries run from scratch; exit code 0 only when equal");
  auto verifying = Keep<VerifyOptions>(verify);
  verify->add_option("VIEW", verifying->view, "one view; all without it");
  verify->callback([&exit_code, verifying] { exit_code = RunVerify(*verifying); });
}

}  // namespace weir
