#include "app/top.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>
#include <vector>

#include "app/api_client.h"
#include "duckdb/common/types/timestamp.hpp"
#include "formats/json_value.h"
#include "io/clock.h"
#include "io/terminal.h"

namespace weir {
namespace {

using namespace duckdb_yyjson;  // NOLINT: a C library in a namespace

double Real(yyjson_val* value, const char* key) {
  return yyjson_get_num(yyjson_obj_get(value, key));
}
bool Truth(yyjson_val* value, const char* key) {
  return yyjson_get_bool(yyjson_obj_get(value, key));
}
Micros Time(yyjson_val* value, const char* key) {
  auto text = JsonText(value, key);
  return text.empty() ? 0 : duckdb::Timestamp::FromString(text, false).value;
}

template <class Visit>
void ForEach(yyjson_val* array, Visit visit) {
  size_t index, count;
  yyjson_val* entry;
  yyjson_arr_foreach(array, index, count, entry) visit(entry);
}

// ---- what is shown ------------------------------------------------------------------------------

struct OperatorLine {
  std::string id, name, detail, rung, failure;
  std::vector<std::string> views;
  uint64_t rows_in = 0, rows_out = 0, state_bytes = 0, file_bytes = 0;
  double time_ms = 0;
  double in_rate = 0, out_rate = 0, share = 0;  // rows a second, and of one core
};

struct ViewLine {
  std::string name, status, rung, error;
  uint64_t rows = 0, error_rows = 0, changes = 0, state_bytes = 0, shared_bytes = 0, file_bytes = 0;
  uint64_t rows_in = 0;  // of the streams it reads
  double behind_ms = 0;
  double in_rate = 0, out_rate = 0, share = 0;
};

struct Look {
  Micros at = 0;  // monotonic
  std::string version;
  uint64_t offset = 0, memory_in_use = 0, memory_limit = 0, state_bytes = 0, file_bytes = 0;
  uint64_t backlog_bytes = 0;
  double lag_ms = 0;
  bool memory_full = false;
  std::vector<ViewLine> views;
  std::vector<OperatorLine> operators;
};

OperatorLine ReadOperator(yyjson_val* entry) {
  OperatorLine line;
  line.id = JsonText(entry, "id");
  line.name = JsonText(entry, "name");
  line.detail = JsonText(entry, "detail");
  line.rung = JsonText(entry, "rung");
  line.failure = JsonText(entry, "failure");
  ForEach(yyjson_obj_get(entry, "views"),
          [&](auto* view) { line.views.emplace_back(yyjson_get_str(view)); });
  line.rows_in = JsonNumber(entry, "rows_in");
  line.rows_out = JsonNumber(entry, "rows_out");
  line.state_bytes = JsonNumber(entry, "state_bytes");
  line.file_bytes = JsonNumber(entry, "file_bytes");
  line.time_ms = Real(entry, "time_ms");
  return line;
}

// The worst of its operators'.
std::string RungOf(const std::vector<const OperatorLine*>& needs) {
  auto is = [](const char* rung) {
    return [rung](const OperatorLine* line) { return line->rung == rung; };
  };
  for (auto* rung : {"recomputed", "touched groups"}) {
    if (std::any_of(needs.begin(), needs.end(), is(rung))) return rung;
  }
  return "closed form";
}

ViewLine ReadView(yyjson_val* entry, const Look& look, Micros now) {
  ViewLine line;
  line.name = JsonText(entry, "name");
  line.status = JsonText(entry, "status");
  if (line.status == "filling") {
    line.status += fmt::format(" {:.0f} %", Real(entry, "progress") * 100);
  }
  line.error = JsonText(yyjson_obj_get(entry, "error"), "message");
  line.rows = JsonNumber(entry, "rows");
  line.error_rows = JsonNumber(entry, "error_rows");
  line.changes = JsonNumber(entry, "changes");
  line.state_bytes = JsonNumber(entry, "state_bytes");
  line.shared_bytes = JsonNumber(entry, "shared_bytes");
  line.file_bytes = JsonNumber(entry, "file_bytes");
  std::vector<const OperatorLine*> needs;
  ForEach(yyjson_obj_get(entry, "operators"), [&](auto* id) {
    for (auto& op : look.operators) {
      if (op.id == yyjson_get_str(id)) needs.push_back(&op);
    }
  });
  for (auto* op : needs) {
    line.share += op->share / static_cast<double>(std::max<size_t>(1, op->views.size()));
    if (op->name == "source") line.rows_in += op->rows_out;
    if (op->name == "source") line.in_rate += op->out_rate;
  }
  line.rung = JsonText(entry, "rung") == "recompute" ? "recomputed" : RungOf(needs);
  line.behind_ms = static_cast<double>(now - Time(entry, "as_of")) / 1000;
  if (line.behind_ms < 500) line.behind_ms = look.lag_ms;  // of the step it stands at
  return line;
}

Look LookAt(HttpClient& client, const Look* before) {
  auto answer = client.Request("GET", "/v1/catalog");
  CheckAnswer(answer);
  auto document = ParseJson(answer.body);
  auto* root = yyjson_doc_get_root(document.get());
  auto* engine = yyjson_obj_get(root, "engine");
  Look look;
  look.at = SystemClock().Monotonic();
  look.version = JsonText(root, "version");
  look.offset = JsonNumber(root, "offset");
  look.lag_ms = Real(engine, "lag_ms");
  look.backlog_bytes = JsonNumber(engine, "backlog_bytes");
  look.state_bytes = JsonNumber(engine, "state_bytes");
  look.file_bytes = JsonNumber(engine, "file_bytes");
  look.memory_in_use = JsonNumber(engine, "memory_in_use");
  look.memory_limit = JsonNumber(engine, "memory_limit");
  look.memory_full = Truth(engine, "memory_full");

  double seconds = before ? static_cast<double>(look.at - before->at) / 1e6 : 0;
  auto rate = [&](uint64_t now, uint64_t then) {
    return now < then ? 0.0 : static_cast<double>(now - then) / seconds;
  };
  ForEach(yyjson_obj_get(root, "operators"), [&](auto* entry) {
    auto line = ReadOperator(entry);
    for (auto& old : before ? before->operators : std::vector<OperatorLine>()) {
      if (old.id != line.id) continue;
      line.in_rate = rate(line.rows_in, old.rows_in);
      line.out_rate = rate(line.rows_out, old.rows_out);
      line.share = std::max(0.0, (line.time_ms - old.time_ms) / 1000 / seconds);
    }
    look.operators.push_back(std::move(line));
  });
  Micros now = Time(root, "as_of");
  ForEach(yyjson_obj_get(root, "views"), [&](auto* entry) {
    if (!Truth(entry, "materialized")) return;
    auto line = ReadView(entry, look, now);
    for (auto& old : before ? before->views : std::vector<ViewLine>()) {
      if (old.name == line.name) line.out_rate = rate(line.changes, old.changes);
    }
    look.views.push_back(std::move(line));
  });
  auto bigger = [](auto& a, auto& b) { return a.state_bytes > b.state_bytes; };
  std::stable_sort(look.views.begin(), look.views.end(), bigger);
  std::stable_sort(look.operators.begin(), look.operators.end(), bigger);
  return look;
}

// ---- as text ------------------------------------------------------------------------------------

std::string Scaled(double number, std::initializer_list<const char*> units) {
  auto unit = units.begin();
  while (number >= 999.5 && unit + 1 != units.end()) {
    number /= 1000;
    ++unit;
  }
  bool whole = unit == units.begin() || number >= 99.95;
  return fmt::format("{:.{}f}{}", number, whole ? 0 : 1, *unit);
}
std::string Bytes(uint64_t bytes) {
  return bytes ? Scaled(static_cast<double>(bytes), {" B", " KB", " MB", " GB", " TB"}) : "-";
}
std::string Count(double count) {
  return count < 0.5 ? "-" : Scaled(count, {"", " k", " M", " G"});
}
std::string Share(double share) {
  return share < 0.0005 ? "-" : fmt::format("{:.1f} %", share * 100);
}
std::string Behind(double ms) {
  if (ms < 1000) return fmt::format("{:.1f} ms", ms);
  if (ms < 120'000) return fmt::format("{:.1f} s", ms / 1000);
  return fmt::format("{:.0f} min", ms / 60'000);
}

// Columns as wide as what is in them; the last one takes what is left of the line.
class Lines {
 public:
  Lines(size_t columns, bool colors) : columns_(columns), colors_(colors) {}

  void Text(const std::string& text) { out_ += Cut(text) + "\n"; }

  // `right`: which columns are numbers.
  void Table(const std::vector<std::string>& header, const std::vector<bool>& right,
             const std::vector<std::vector<std::string>>& rows) {
    std::vector<size_t> widths;
    for (size_t c = 0; c < header.size(); c++) {
      size_t width = header[c].size();
      for (auto& row : rows) width = std::max(width, std::min<size_t>(row[c].size(), kWidest));
      widths.push_back(width);
    }
    auto line = [&](const std::vector<std::string>& cells) {
      std::string text;
      for (size_t c = 0; c < cells.size(); c++) {
        std::string cell = cells[c];
        std::replace(cell.begin(), cell.end(), '\n', ' ');
        bool last = c + 1 == cells.size();
        if (!last && cell.size() > kWidest) cell = cell.substr(0, kWidest - 2) + "..";
        text += right[c] ? fmt::format("{:>{}}", cell, widths[c])
                : last   ? cell
                         : fmt::format("{:<{}}", cell, widths[c]);
        if (!last) text += "  ";
      }
      return Cut(text);
    };
    std::string top = line(header);
    if (colors_) top = "\x1b[7m" + fmt::format("{:<{}}", top, columns_) + "\x1b[0m";
    out_ += top + "\n";
    for (auto& row : rows) out_ += line(row) + "\n";
  }

  std::string Take() { return std::move(out_); }

 private:
  static constexpr size_t kWidest = 32;

  // Whole characters of at most so many bytes.
  std::string Cut(const std::string& text) const {
    if (!colors_ || text.size() <= columns_) return text;
    size_t end = columns_;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) end--;
    return text.substr(0, end);
  }

  size_t columns_;
  bool colors_;
  std::string out_;
};

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string Draw(const Look& look, const std::string& url, const Terminal& terminal, bool live) {
  Lines lines(terminal.columns, live);
  lines.Text(fmt::format("weir {} at {}   offset {}   lag {}   waiting {}", look.version, url,
                         look.offset, Behind(look.lag_ms), Bytes(look.backlog_bytes)));
  std::string memory = fmt::format("memory {}", Bytes(look.memory_in_use));
  if (look.memory_limit) {
    memory += fmt::format(
        " of {} ({:.0f} %)", Bytes(look.memory_limit),
        100 * static_cast<double>(look.memory_in_use) / static_cast<double>(look.memory_limit));
  }
  if (look.memory_full) memory += "   FULL: events and new views are refused";
  lines.Text(memory + fmt::format("   state {}   of it on disk {}", Bytes(look.state_bytes),
                                  Bytes(look.file_bytes)));
  lines.Text("");

  // On a screen views come first; operators get what is left of it.
  size_t room = live ? std::max<size_t>(terminal.rows, 16) - 7 : SIZE_MAX;
  auto views = look.views;
  if (live) views.resize(std::min(views.size(), room / 2));
  std::vector<std::vector<std::string>> rows;
  rows.reserve(views.size());
  for (auto& view : views) {
    rows.push_back({view.name, view.status, view.rung, Count(static_cast<double>(view.rows)),
                    Count(static_cast<double>(view.error_rows)), Count(view.in_rate),
                    Count(view.out_rate), Bytes(view.state_bytes), Bytes(view.shared_bytes),
                    Bytes(view.file_bytes), Share(view.share),
                    view.status == "live" ? Behind(view.behind_ms) : "-"});
  }
  lines.Table({"VIEW", "STATUS", "KEPT BY", "ROWS", "FAILED", "IN/S", "OUT/S", "STATE", "SHARED",
               "ON DISK", "TIME", "BEHIND"},
              {false, false, false, true, true, true, true, true, true, true, true, true}, rows);
  for (auto& view : views) {
    if (!view.error.empty()) lines.Text("  " + view.name + ": " + view.error);
  }
  lines.Text("");

  rows.clear();
  for (auto& op : look.operators) {
    if (rows.size() + views.size() >= room) break;
    rows.push_back({op.name, op.rung, Joined(op.views), Count(op.in_rate), Count(op.out_rate),
                    Bytes(op.state_bytes), Bytes(op.file_bytes), Share(op.share),
                    op.failure.empty() ? op.detail : "FAILED: " + op.failure});
  }
  lines.Table({"OPERATOR", "KEPT BY", "VIEWS", "IN/S", "OUT/S", "STATE", "ON DISK", "TIME", "WHAT"},
              {false, false, false, true, true, true, true, true, false}, rows);
  return lines.Take();
}

// ---- as JSON ------------------------------------------------------------------------------------

std::string Json(const Look& look) {
  std::string views, operators;
  for (auto& view : look.views) {
    views +=
        (views.empty() ? "" : ",") + std::string("{\"name\":") + QuoteJson(view.name) +
        ",\"status\":" + QuoteJson(view.status) + ",\"rung\":" + QuoteJson(view.rung) +
        fmt::format(
            R"(,"rows":{},"error_rows":{},"rows_in_per_second":{:.2f},"rows_out_per_second":{:.2f})"
            R"(,"state_bytes":{},"shared_bytes":{},"file_bytes":{})"
            R"(,"time_share":{:.6f},"behind_ms":{:.3f},"error":)",
            view.rows, view.error_rows, view.in_rate, view.out_rate, view.state_bytes,
            view.shared_bytes, view.file_bytes, view.share, view.behind_ms) +
        QuoteJson(view.error) + "}";
  }
  for (auto& op : look.operators) {
    std::string needed_by;
    for (auto& view : op.views) needed_by += (needed_by.empty() ? "" : ",") + QuoteJson(view);
    operators += (operators.empty() ? "" : ",") + std::string("{\"id\":") + QuoteJson(op.id) +
                 ",\"name\":" + QuoteJson(op.name) + ",\"detail\":" + QuoteJson(op.detail) +
                 ",\"rung\":" + QuoteJson(op.rung) + ",\"views\":[" + needed_by + "]" +
                 fmt::format(R"(,"rows_in_per_second":{:.2f},"rows_out_per_second":{:.2f})"
                             R"(,"state_bytes":{},"file_bytes":{},"time_share":{:.6f}}})",
                             op.in_rate, op.out_rate, op.state_bytes, op.file_bytes, op.share);
  }
  return fmt::format(R"({{"offset":{},"lag_ms":{:.3f},"backlog_bytes":{},"memory_in_use":{})"
                     R"(,"memory_limit":{},"memory_full":{},"state_bytes":{},"file_bytes":{})"
                     R"(,"views":[{}],"operators":[{}]}})",
                     look.offset, look.lag_ms, look.backlog_bytes, look.memory_in_use,
                     look.memory_limit, look.memory_full, look.state_bytes, look.file_bytes, views,
                     operators);
}

}  // namespace

int RunTop(const TopOptions& options) {
  constexpr auto kBetween = std::chrono::milliseconds(1000);
  HttpClient client(options.url);
  auto terminal = TerminalNow();
  bool once = options.once || options.json || !terminal.is_there;
  Look before = LookAt(client, nullptr);
  while (true) {
    std::this_thread::sleep_for(kBetween);  // rates need two looks
    Look look = LookAt(client, &before);
    if (options.json) {
      fmt::print("{}\n", Json(look));
    } else if (once) {
      fmt::print("{}", Draw(look, options.url, terminal, false));
    } else {
      terminal = TerminalNow();
      fmt::print("\x1b[H\x1b[2J{}", Draw(look, options.url, terminal, true));
      std::fflush(stdout);
    }
    if (once) return 0;
    before = std::move(look);
  }
}

}  // namespace weir
