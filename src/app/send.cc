#include "app/send.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <utility>

#include "app/delivery.h"
#include "base/error.h"

namespace weir {
namespace {

std::string FormatOf(const SendOptions& options) {
  if (!options.format.empty()) return options.format;
  if (options.file.ends_with(".csv")) return "csv";
  if (options.file.ends_with(".json")) return "json";
  return "ndjson";
}

void RefuseWhatIsNoText(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw Error(ErrorCode::kInvalidRequest, "\"" + path + "\" is a folder",
                "Name a file with rows, or - for standard input.");
  }
  bool packed = path.ends_with(".gz") || path.ends_with(".zst");
  if (packed || path.ends_with(".parquet")) {
    throw Error(ErrorCode::kInvalidRequest, "\"" + path + "\" is no text",
                packed ? "Unpack it on the way: zcat FILE | weir send STREAM - --format csv"
                       : "COPY reads Parquet files: weir sql -c \"COPY STREAM FROM 'FILE'\"");
  }
}

// Hands out the input in bodies of whole rows.
class Bodies {
 public:
  Bodies(std::istream& input, std::string format, uint64_t rows)
      : input_(input), format_(std::move(format)), rows_(rows) {
    if (format_ == "csv" && std::getline(input_, header_)) lines_ = 1;
  }

  bool Next(std::string& body) {
    body.clear();
    if (format_ == "json") {
      body.assign(std::istreambuf_iterator<char>(input_), {});
      return !body.empty();
    }
    before_ = lines_;
    std::string line;
    uint64_t rows = 0, bytes = 0;
    bool in_quotes = false;
    while ((rows < rows_ && bytes < kBytesMax) || in_quotes) {
      if (!std::getline(input_, line)) break;
      lines_++;
      if (format_ == "csv") {
        if (body.empty()) body = header_ + "\n";
        for (char c : line) in_quotes ^= c == '"';
      }
      body += line;
      body += '\n';
      bytes += line.size() + 1;
      rows += !in_quotes;
    }
    if (input_.bad()) throw Error(ErrorCode::kInvalidRequest, "the input could not be read on");
    // A header without rows goes out, too: the server says whether it names columns.
    if (body.empty() && !std::exchange(any_, true) && !header_.empty()) body = header_ + "\n";
    any_ = true;
    // A quote that is never closed goes out as it is: the server says what is wrong with it.
    return !body.empty();
  }

  // The input's line for one of the present body; 0 when the format does not go by lines.
  uint64_t LineOf(uint64_t line) const {
    if (format_ == "json") return 0;
    return before_ + line - (format_ == "csv" ? 1 : 0);
  }

 private:
  static constexpr uint64_t kBytesMax = 16 << 20;
  std::istream& input_;
  std::string format_, header_;
  uint64_t rows_;
  bool any_ = false;                 // body was handed out
  uint64_t lines_ = 0, before_ = 0;  // read so far, and before the present body
};

// Tells of the first refused rows, each in a line.
class Refusals {
 public:
  void Add(const Delivered& delivered, const Bodies& bodies) {
    for (auto& row : delivered.refused) {
      if (told_ == kTold) return;
      told_++;
      uint64_t line = bodies.LineOf(row.line);
      fmt::print(stderr, "refused: {} {}: {}\n", line ? "line" : "element", line ? line : row.line,
                 row.reason);
    }
  }
  void End(uint64_t rejected) const {
    if (rejected > told_) fmt::print(stderr, "refused: {} more\n", rejected - told_);
  }

 private:
  static constexpr uint64_t kTold = 10;
  uint64_t told_ = 0;
};

}  // namespace

int RunSend(const SendOptions& options) {
  std::ifstream file;
  if (options.file != "-") {
    RefuseWhatIsNoText(options.file);
    file.open(options.file, std::ios::binary);
    if (!file) throw Error(ErrorCode::kInvalidRequest, "cannot read \"" + options.file + "\"");
  }
  std::string format = FormatOf(options);
  std::string type = format == "csv"    ? "text/csv"
                     : format == "json" ? "application/json"
                                        : "application/x-ndjson";
  Bodies bodies(options.file == "-" ? std::cin : file, format, options.batch_rows);
  Delivery delivery(options.url, options.stream, type);
  std::random_device random;
  std::string run = fmt::format("{:08x}{:08x}", random(), random());
  bool progress = isatty(STDERR_FILENO);
  uint64_t accepted = 0, rejected = 0, duplicates = 0, number = 0;
  auto started = std::chrono::steady_clock::now();
  std::string body;
  Refusals refusals;
  while (bodies.Next(body)) {
    auto delivered = delivery.Send(run + "-" + std::to_string(number++), body);
    if (progress && !delivered.refused.empty()) fmt::print(stderr, "\r\x1b[K");
    refusals.Add(delivered, bodies);
    accepted += delivered.accepted;
    rejected += delivered.rejected;
    duplicates += delivered.duplicates;
    if (!progress) continue;
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    fmt::print(stderr, "\r{} accepted, {} refused, {:.0f} rows/s ", accepted, rejected,
               static_cast<double>(accepted + rejected) / std::max(took.count(), 1e-3));
  }
  if (progress) fmt::print(stderr, "\n");
  refusals.End(rejected);
  fmt::print("sent {} accepted {} rejected {} duplicates {}\n", accepted + rejected + duplicates,
             accepted, rejected, duplicates);
  return rejected > 0 ? 4 : 0;
}

}  // namespace weir
