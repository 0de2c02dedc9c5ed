// The command line.  What the program is made of stands in serve.cc.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/commands.h"
#include "app/serve.h"
#include "base/error.h"
#include "duck/errors.h"
#include "query/worker.h"

namespace {

constexpr const char* kFooter = R"(Start with:
  weir init shop && weir serve shop
  curl -d '{"event_name": "sign_up"}' http://127.0.0.1:7070/v1/streams/events/events
and open http://127.0.0.1:7070 in a browser.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 cannot connect, 4 not equal or rows refused,
5 equal but for views with error rows, 74 the disk failed.)";

int Report(const weir::Error& error, bool is_client) {
  std::fprintf(stderr, "weir: %s\n", error.message.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "%s\n", error.hint.c_str());
  return error.code == weir::ErrorCode::kUnavailable && is_client ? 3 : 1;
}

}  // namespace

// What is thrown while commands are described ends the program, as it should.
// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  CLI::App app(
      "Weir takes event streams in, keeps them for ever, and keeps the answers to SQL "
      "questions about them fresh.",
      "weir");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.set_version_flag("--version", WEIR_VERSION);
  app.failure_message(CLI::FailureMessage::simple);
  int exit_code = 0;

  weir::ServeOptions serve;
  auto* serve_command = app.add_subcommand("serve", "run a project: ingest, views, dashboard, SQL");
  serve_command->add_option("PROJECT", serve.project, "folder with *.sql files")->required();
  serve_command->add_option("--data", serve.data, "where events are kept (PROJECT/data)");
  serve_command->add_option("--listen", serve.listen, "HOST:PORT (127.0.0.1:7070); port 0: any");
  serve_command->add_option("--memory-limit", serve.memory_limit,
                            "as 2GB, 70% or none (80% of the machine's memory)");
  serve_command->add_flag("--allow-drop", serve.allow_drop,
                          "drop streams, tables and pumps that came from the project and are in it "
                          "no more");
  serve_command
      ->add_option("--start-without", serve.without,
                   "give up a lost or damaged file: idempotency-keys or pump-marks")
      ->check(CLI::IsMember({"idempotency-keys", "pump-marks"}));
  serve_command->callback([&] { exit_code = weir::RunServe(serve); });

  std::string check_project;
  auto* check_command =
      app.add_subcommand("check", "parse, bind and explain a project without starting it");
  check_command->add_option("PROJECT", check_project, "folder with *.sql files")->required();
  check_command->callback([&] { exit_code = weir::RunCheck(check_project); });

  weir::AddCommands(app, exit_code);

  auto* worker = app.add_subcommand("query-worker", "")->group("");
  worker->callback([&] { exit_code = weir::RunQueryWorker(3); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const weir::Error& error) {
    return Report(error, !serve_command->parsed());
  } catch (...) {
    return Report(weir::CurrentError(), !serve_command->parsed());
  }
  return exit_code;
}
