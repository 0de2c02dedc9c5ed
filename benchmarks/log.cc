// The log alone: what a lone append waits for, what the committer can take, how fast it starts.
//   log_bench [DIRECTORY]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>

#include "base/crc32c.h"
#include "io/clock.h"
#include "log/log.h"

namespace {

using namespace weir;

double Seconds(const std::function<void()>& work) {
  auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void Print(std::string_view name, double value, std::string_view unit) {
  fmt::print("{{\"bench\": \"log\", \"case\": \"{}\", \"value\": {:.1f}, \"unit\": \"{}\"}}\n",
             name, value, unit);
  std::fflush(stdout);
}

std::vector<LogRecord> Unit(size_t bytes) {
  std::vector<LogRecord> unit(1);
  unit[0].stream = {1};
  unit[0].count = 1000;
  unit[0].payload.assign(bytes, 'x');
  return unit;
}

void LoneAppends(Log& log, size_t bytes) {
  std::vector<double> times;
  for (int i = 0; i < 2000; i++) {
    std::vector<LogRecord> unit = Unit(bytes);
    std::promise<void> done;
    times.push_back(1e6 * Seconds([&] {
                      log.Append(std::move(unit), [&](const AppendResult&) { done.set_value(); });
                      done.get_future().wait();
                    }));
  }
  std::sort(times.begin(), times.end());
  Print(fmt::format("lone append of {} bytes, p50", bytes), times[times.size() / 2], "us");
  Print(fmt::format("lone append of {} bytes, p99", bytes), times[times.size() * 99 / 100], "us");
}

// Keeps as much waiting as the queue takes; one producer, as the checksums are its work.
void Throughput(Log& log, std::string_view where, size_t bytes, uint64_t total) {
  std::vector<std::vector<LogRecord>> units;
  for (uint64_t made = 0; made < total; made += bytes) {
    units.push_back(Unit(bytes));
  }
  std::promise<void> done;
  double seconds = Seconds([&] {
    for (std::vector<LogRecord>& unit : units) {
      log.Append(std::move(unit), [](const AppendResult&) {});
    }
    log.Append({}, [&](const AppendResult&) { done.set_value(); });
    done.get_future().wait();
  });
  Print(fmt::format("appends of {} bytes, {}", bytes, where), total / seconds / 1e6, "MB/s");
}

// Takes every write for done: what remains is the log's own work.
class NoFile : public File {
 public:
  size_t Read(uint64_t, std::span<char>) override { return 0; }
  void Write(uint64_t, std::string_view) override {}
  void Sync() override {}
  void WriteDurably(uint64_t, std::span<const std::string_view>) override {}
  uint64_t Size() override { return 0; }
  void Truncate(uint64_t) override {}
  void Allocate(uint64_t) override {}
};

class NoFolder : public Folder {
 public:
  void Sync() override {}
};

class NoDisk : public Disk {
 public:
  DiskSpace SpaceOf(const std::string&) override { return {}; }
  std::unique_ptr<File> Open(const std::string&, OpenMode) override {
    return std::make_unique<NoFile>();
  }
  std::unique_ptr<File> TryOpen(const std::string&) override { return nullptr; }
  bool Exists(const std::string&) override { return false; }
  std::vector<std::string> List(const std::string&) override { return {}; }
  void MakeDirectories(const std::string&) override {}
  void Rename(const std::string&, const std::string&) override {}
  void Remove(const std::string&) override {}
  bool RemoveEmptyFolder(const std::string&) override { return true; }
  void SyncDirectory(const std::string&) override {}
  std::unique_ptr<Folder> OpenFolder(const std::string&) override {
    return std::make_unique<NoFolder>();
  }
  std::shared_ptr<void> Lock(const std::string&) override { return nullptr; }
  std::shared_ptr<void> LockFolder(const std::string&) override { return nullptr; }
  std::string NativePath(const std::string& path) override { return path; }
};

// The same bytes by the same calls without a log, as a floor.
void PlainWrites(Disk& disk, const std::string& path, uint64_t total) {
  std::string group(32 << 20, 'x');
  std::unique_ptr<File> file = disk.Open(path, OpenMode::kCreate);
  double seconds = Seconds([&] {
    for (uint64_t at = 0; at < total; at += group.size()) {
      std::string_view parts[] = {group};
      file->WriteDurably(at, parts);
    }
  });
  Print("plain writes of 32 MiB and sync, on disk", total / seconds / 1e6, "MB/s");
  disk.Remove(path);
}

void Start(Disk& disk, const LogOptions& options, std::string_view what) {
  std::unique_ptr<Log> log;
  double seconds = Seconds([&] { log = Log::Open(disk, SystemClock(), options); });
  Print(fmt::format("start, {}", what), seconds * 1e3, "ms");
}

LogOptions Options(const std::string& directory) {
  LogOptions options;
  options.directory = directory;
  options.queue_bytes_max = 2u << 30;
  return options;
}

void WithoutDisk() {
  NoDisk disk;
  auto log = Log::Open(disk, SystemClock(), Options("nowhere"));
  Throughput(*log, "no disk", 2'000, 300u << 20);
  Throughput(*log, "no disk", 50'000, 600u << 20);
  Throughput(*log, "no disk", 1 << 20, 600u << 20);
}

void OnDisk(const std::string& directory) {
  std::unique_ptr<Disk> disk = MakeRealDisk();
  LogOptions options = Options(directory + "/weir-bench-log");
  std::filesystem::remove_all(options.directory);
  Start(*disk, options, "empty");
  {
    auto log = Log::Open(*disk, SystemClock(), options);
    LoneAppends(*log, 200);
    LoneAppends(*log, 20'000);
    Throughput(*log, "on disk", 50'000, 600u << 20);
    Throughput(*log, "on disk", 1 << 20, 600u << 20);
    uint64_t bytes = 0;
    double seconds = Seconds([&] {
      auto reader = log->Read(Offset{0});
      while (auto record = reader->Next()) {
        bytes += record->record.payload.size();
      }
    });
    Print("read and check everything", bytes / seconds / 1e6, "MB/s");
  }
  Start(*disk, options, "1.2 GB in 64 MiB segments");
  std::filesystem::remove_all(options.directory);
  {
    auto log = Log::Open(*disk, SystemClock(), options);
    Throughput(*log, "on disk, one segment", 2'000, 50u << 20);
  }
  Start(*disk, options, "a last segment of 50 MiB, read from the device");
  PlainWrites(*disk, options.directory + "/plain", 600u << 20);
  std::filesystem::remove_all(options.directory);
}

}  // namespace

int main(int argc, char** argv) {
  std::string payload(64 << 20, 'x');
  double seconds = Seconds([&] { Crc32c(payload); });
  Print("checksum", payload.size() / seconds / 1e6, "MB/s");
  WithoutDisk();
  OnDisk(argc > 1 ? argv[1] : "/var/tmp");
}
