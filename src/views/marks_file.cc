#include "views/marks_file.h"

#include <fmt/format.h>

#include <cinttypes>
#include <cstdio>
#include <string_view>

#include "base/error.h"

namespace weir {
namespace {

constexpr std::string_view kOldHeader = "weir pump marks 2\n";

}  // namespace

MarksFile::MarksFile(Disk& disk, std::string path, OnUnknownOutcome on_unknown)
    : file_(disk, std::move(path),
            {"pump-marks", 1,
             "Restore it from a backup of the data folder. Or start with `--start-without "
             "pump-marks`: pumps whose marks are in no log record any more may then emit rows a "
             "second time."},
            std::move(on_unknown)) {}

SavedMarks MarksFile::Load() {
  SavedMarks marks;
  auto content = file_.Load();
  if (!content) return marks;
  std::string text = std::move(content->bytes);
  size_t begin = 0;
  int used = 0;
  if (content->version == 0) {
    if (!text.starts_with(kOldHeader)) file_.ThrowDamaged("it does not begin as it should");
    begin = kOldHeader.size();
  } else {
    if (std::sscanf(text.c_str(), "at %" SCNu64 "%n", &marks.at.value, &used) != 1) {
      file_.ThrowDamaged("it does not say up to where it goes");
    }
    begin = static_cast<size_t>(used) + 1;
  }
  while (begin < text.size()) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) file_.ThrowDamaged("its last line is cut short");
    std::string line = text.substr(begin, end - begin);
    PumpMark mark;
    int read =
        std::sscanf(line.c_str(), "%" SCNu32 " %" SCNu64 " %" SCNd64 " %" SCNd64 "%n", &mark.pump,
                    &mark.input.offset.value, &mark.input.clock, &mark.input.log_time, &used);
    if (read != 4 || static_cast<size_t>(used) != line.size()) {
      file_.ThrowDamaged(fmt::format("the line \"{}\" is no mark", line));
    }
    marks.by_pump[mark.pump] = mark.input;
    begin = end + 1;
  }
  return marks;
}

void MarksFile::Save(const SavedMarks& marks) {
  // What a pump has emitted it has emitted: from an earlier mark it would do so again.
  ASSERT(saved_.at <= marks.at);
  for (auto& [pump, mark] : marks.by_pump) {
    auto before = saved_.by_pump.find(pump);
    ASSERT(before == saved_.by_pump.end() || before->second <= mark);
  }
  std::string lines;
  for (auto& [pump, mark] : marks.by_pump) {
    lines += fmt::format("{} {} {} {}\n", pump, mark.offset.value, mark.clock, mark.log_time);
  }
  std::string text = fmt::format("at {}\n", marks.at.value) + lines;
  if (!last_.empty() && std::string_view(last_).substr(last_.find('\n') + 1) == lines) return;
  file_.Save(text);
  last_ = std::move(text);
  saved_ = marks;
}

}  // namespace weir
