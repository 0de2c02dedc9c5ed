#include "app/stores.h"

#include "simdjson.h"

namespace weir {
namespace {

bool IsObject(const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  return parser.parse(json).get(object) == simdjson::SUCCESS;
}

}  // namespace

LayoutFile::LayoutFile(Disk& disk, std::string path,
                       const std::function<void(const std::string&)>& say,
                       OnUnknownOutcome on_unknown)
    : file_(disk, std::move(path), {"layout", 1, ""}, std::move(on_unknown)) {
  try {
    auto content = file_.Load();
    if (!content) return;
    if (!IsObject(content->bytes)) file_.ThrowDamaged("it is no JSON object");
    json_ = std::move(content->bytes);
  } catch (const Error& error) {
    if (error.code != ErrorCode::kCorruption) throw;
    std::string aside = file_.path() + ".damaged";
    disk.Rename(file_.path(), aside);
    say("layout: " + error.message + "; the dashboard begins anew, and the file is now \"" + aside +
        "\"");
  }
}

}  // namespace weir
