// Small things kept in the data folder, over io/.
#pragma once

#include <mutex>
#include <string>

#include "catalog/catalog.h"
#include "io/disk.h"
#include "server/server.h"

namespace weir {

class CatalogFile : public CatalogStore {
 public:
  CatalogFile(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  std::string Load() override { return ReadWholeFile(disk_, path_); }
  void Save(const std::string& text) override { WriteFileAtomically(disk_, path_, text); }

 private:
  Disk& disk_;
  std::string path_;
};

class LayoutFile : public LayoutStore {
 public:
  LayoutFile(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  std::string Load() override {
    std::lock_guard lock(mutex_);
    return ReadWholeFile(disk_, path_);
  }
  void Save(const std::string& json) override {
    std::lock_guard lock(mutex_);
    WriteFileAtomically(disk_, path_, json);
  }

 private:
  Disk& disk_;
  std::string path_;
  std::mutex mutex_;
};

}  // namespace weir
