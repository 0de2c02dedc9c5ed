// Small things kept in the data folder, over io/.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "catalog/catalog.h"
#include "io/disk/disk.h"
#include "io/disk/small_file.h"
#include "server/server.h"

namespace weir {

class CatalogFile : public CatalogStore {
 public:
  CatalogFile(Disk& disk, std::string path, OnUnknownOutcome on_unknown = {})
      : file_(disk, std::move(path),
              {"catalog", 1, "Restore it from a backup of the data folder; nothing was changed."},
              std::move(on_unknown)) {}
  std::string Load() override {
    auto content = file_.Load();
    return content ? std::move(content->bytes) : "";
  }
  void Save(const std::string& text) override { file_.Save(text); }
  std::string Name() const override { return "\"" + file_.path() + "\""; }

 private:
  SmallFile file_;
};

// Not worth a refused start: what is damaged is put aside (layout.json.damaged), and said.
class LayoutFile : public LayoutStore {
 public:
  LayoutFile(Disk& disk, std::string path, const std::function<void(const std::string&)>& say,
             OnUnknownOutcome on_unknown = {});
  std::string Load() override {
    std::lock_guard lock(mutex_);
    return json_;
  }
  void Save(const std::string& json) override {
    SaveOver([](const std::string&) { return true; }, json);
  }
  bool SaveOver(const std::function<bool(const std::string& there)>& is_expected,
                const std::string& json) override {
    std::lock_guard lock(mutex_);
    if (!is_expected(json_)) return false;
    file_.Save(json);
    json_ = json;
    return true;
  }

 private:
  SmallFile file_;
  std::mutex mutex_;
  std::string json_;  // as it is on the disk
};

}  // namespace weir
