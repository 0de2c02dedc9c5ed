// The text of the manifest and of its changes: what does not fit is refused with its reason.
#include "lake/manifest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "io/disk/simulated_disk.h"
#include "lake/manifest_store.h"

namespace weir {
namespace {

ManifestFile FileWith(uint64_t first, uint64_t last) {
  ManifestFile file;
  file.stream = {1};
  file.path = fmt::format("a/{}-{}.parquet", first, last);
  file.first = {first};
  file.last = {last};
  file.rows = last - first + 1;
  file.bytes = 7;
  file.seal = 9;
  return file;
}

Manifest Ten() {
  Manifest manifest;
  manifest.number = 3;
  manifest.landed = {10};
  manifest.folders[1] = "a";
  manifest.files = {FileWith(1, 10)};
  return manifest;
}

template <class Work>
std::string Refusal(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kCorruption);
    EXPECT_EQ(error.hint, kManifestLost);
    return error.message;
  }
  return "";
}

std::string LoadRefusal(const std::string& json) {
  return Refusal([&] { LoadManifest(json); });
}

// A change with a checksum that is right, whatever it says.
std::string Line(const std::string& json) { return fmt::format("{:08x} {}\n", Crc32c(json), json); }

std::string ChangeRefusal(const std::string& lines) {
  return Refusal([&] {
    Manifest manifest = Ten();
    ApplyChanges(lines, manifest);
  });
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Manifest, ComesBackAsItWas) {
  Manifest manifest = Ten();
  manifest.files.push_back(FileWith(11, 20));
  manifest.files[1].seal.reset();
  manifest.files[1].arrived_first = 5 * kHour + 1;
  manifest.files[1].arrived_last = 6 * kHour + 2;
  manifest.files[1].path = "a/\"odd\\one\"";
  manifest.held = {{2, {4}}, {3, {0}}};
  manifest.landed = {20};
  manifest.folders[7] = "b\"c";
  Manifest read = LoadManifest(SaveManifest(manifest));
  EXPECT_EQ(read.number, 3u);
  EXPECT_EQ(read.landed, Offset{20});
  EXPECT_EQ(read.held, manifest.held);
  EXPECT_EQ(read.folders, manifest.folders);
  ASSERT_EQ(read.files.size(), 2u);
  for (size_t i = 0; i < 2; i++) {
    EXPECT_EQ(read.files[i].path, manifest.files[i].path);
    EXPECT_EQ(read.files[i].stream, StreamId{1});
    EXPECT_EQ(read.files[i].first, manifest.files[i].first);
    EXPECT_EQ(read.files[i].last, manifest.files[i].last);
    EXPECT_EQ(read.files[i].rows, 10u);
    EXPECT_EQ(read.files[i].bytes, 7u);
    EXPECT_EQ(read.files[i].arrived_first, i == 0 ? 0 : 5 * kHour + 1);
    EXPECT_EQ(read.files[i].arrived_last, i == 0 ? 0 : 6 * kHour + 2);
    EXPECT_EQ(read.files[i].seal, manifest.files[i].seal);
  }
}

TEST(Manifest, OfAnotherVersionOrShapeIsRefused) {
  std::string good = SaveManifest(Ten());
  EXPECT_EQ(LoadRefusal(good), "");
  EXPECT_EQ(LoadManifest(Replaced(good, "\"version\": 2", "\"version\": 1")).landed, Offset{10});
  for (std::string version : {"0", "3"}) {
    EXPECT_EQ(LoadRefusal(Replaced(good, "\"version\": 2", "\"version\": " + version)),
              "the lake's manifest is damaged: its version is unknown");
  }
  Manifest held = Ten();
  held.held[2] = {11};
  EXPECT_EQ(LoadRefusal(SaveManifest(held)),
            "the lake's manifest is damaged: a stream is held back beyond what has landed");
  EXPECT_NE(LoadRefusal("no JSON"), "");
  for (const char* key : {"version", "landed", "folders", "files", "folder\"", "path", "first",
                          "last", "rows", "bytes", "hour"}) {
    EXPECT_NE(LoadRefusal(Replaced(good, "\"" + std::string(key), "\"x" + std::string(key))), "")
        << key;
  }
  // Of versions before there were such things.
  Manifest old = LoadManifest(Replaced(Replaced(good, "\"number\"", "\"x\""), "\"held\"", "\"y\""));
  EXPECT_EQ(old.number, 0u);
  EXPECT_TRUE(old.held.empty());
}

TEST(Manifest, ChangesAddAndRemoveFilesAndMoveWhatHasLanded) {
  ManifestChange first, second;
  first.landed = {20};
  first.held[2] = {15};
  first.folders[2] = "b";
  first.added = {FileWith(11, 20)};
  second.landed = {20};
  second.removed = {{StreamId{1}, FileWith(1, 10).path}, {StreamId{1}, FileWith(11, 20).path}};
  second.added = {FileWith(1, 20)};
  Manifest manifest = Ten();
  EXPECT_TRUE(ApplyChanges(SaveChange(first) + SaveChange(second), manifest));
  EXPECT_EQ(manifest.landed, Offset{20});
  EXPECT_TRUE(manifest.held.empty());
  EXPECT_EQ(manifest.folders.at(2), "b");
  ASSERT_EQ(manifest.files.size(), 1u);
  EXPECT_EQ(manifest.files[0].last, Offset{20});
  Manifest one = Ten();
  EXPECT_TRUE(ApplyChanges(SaveChange(first), one));
  EXPECT_EQ(one.held, (std::map<uint32_t, Offset>{{2, {15}}}));
}

TEST(Manifest, ATornLastChangeCountsForNothingAndAnyOtherIsRefused) {
  ManifestChange change;
  change.landed = {20};
  change.added = {FileWith(11, 20)};
  std::string line = SaveChange(change);
  for (size_t size = 0; size < line.size(); size++) {
    Manifest manifest = Ten();
    EXPECT_EQ(ApplyChanges(line.substr(0, size), manifest), size == 0) << size;
    EXPECT_EQ(manifest.landed, Offset{10}) << size;
    ASSERT_EQ(manifest.files.size(), 1u) << size;
  }
  ManifestChange next;
  next.landed = {30};
  for (std::string torn : {"short", "00000000 {}"}) {
    EXPECT_EQ(ChangeRefusal(line + torn + "\n" + SaveChange(next)),
              "the lake's manifest is damaged: change 2 does not match its checksum");
  }
}

TEST(Manifest, ChangesThatDoNotFitAreRefused) {
  ManifestChange change;
  change.landed = {20};
  change.removed = {{StreamId{1}, "a/other.parquet"}};
  EXPECT_EQ(ChangeRefusal(SaveChange(change)),
            "the lake's manifest is damaged: a change removes a file that is not there");
  change.removed.clear();
  change.added = {FileWith(1, 10)};  // the same path
  EXPECT_EQ(ChangeRefusal(SaveChange(change)),
            "the lake's manifest is damaged: a change adds a file that is there");
  change.added[0].path = "a/another";  // the same offset
  EXPECT_EQ(ChangeRefusal(SaveChange(change)),
            "the lake's manifest is damaged: a change adds a file that is there");
  change.added = {FileWith(10, 20)};
  EXPECT_EQ(ChangeRefusal(SaveChange(change)),
            "the lake's manifest is damaged: \"a/10-20.parquet\" overlaps \"a/1-10.parquet\"");
  change.added.clear();
  change.held[1] = {9};
  EXPECT_EQ(ChangeRefusal(SaveChange(change)),
            "the lake's manifest is damaged: \"a/1-10.parquet\" goes beyond what has landed");
  EXPECT_NE(ChangeRefusal(Line("no JSON")), "");
  EXPECT_NE(ChangeRefusal(Line("{\"landed\": 20, \"folders\": [], \"added\": []}")), "");
}

// The file of versions before there were small files with headers.
std::string OldFile(const std::string& body) {
  auto sum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return body + fmt::format("{{\"crc32\": \"{:08x}\"}}\n", sum);
}

TEST(Manifest, OfAnEarlierVersionIsReadByItsTrailer) {
  std::string body = Replaced(SaveManifest(Ten()), "\"number\": 3, ", "");
  std::string old = OldFile(body);
  EXPECT_EQ(WithoutTrailer(old), body);
  SimulatedDisk disk;
  disk.MakeDirectories("lake");
  WriteFileAtomically(disk, "lake/manifest.json", old);
  EXPECT_EQ(ManifestStore(disk, "lake").Load().landed, Offset{10});
  EXPECT_EQ(Refusal([&] { WithoutTrailer("{}"); }),
            "the lake's manifest is damaged: it is cut short");
  for (size_t at = 0; at < old.size(); at += 3) {
    std::string wrong = old;
    wrong[at] ^= 1;
    EXPECT_EQ(Refusal([&] { WithoutTrailer(wrong); }),
              "the lake's manifest is damaged: its checksum does not match");
  }
}

TEST(Manifest, PathsAreLines) {
  EXPECT_EQ(LoadPaths(SavePaths({"a/b", "c"})), (std::vector<std::string>{"a/b", "c"}));
  EXPECT_EQ(LoadPaths(""), std::vector<std::string>());
  EXPECT_EQ(LoadPaths("whole\ncut sho"), std::vector<std::string>{"whole"});
}

// Nobody knows which of the two a crash would leave; until it is saved again, nothing is appended.
TEST(ManifestStore, IsUncertainAfterASnapshotThatFailedAtAnyCall) {
  SimulatedDisk disk;
  disk.MakeDirectories("lake");
  Manifest manifest = Ten();
  ManifestStore(disk, "lake").SaveSnapshot(manifest);
  for (uint64_t call = 1; call <= 6; call++) {  // the file's five, and the folder's
    auto copy = disk.KillState();
    ManifestStore store(*copy, "lake");
    Manifest read = store.Load();
    store.SaveSnapshot(read);
    ASSERT_TRUE(store.Certain());
    copy->FailCall(call, SimulatedDisk::Fault::kIoError);
    EXPECT_THROW(store.SaveSnapshot(read), DiskFailure) << call;
    EXPECT_FALSE(store.Certain()) << call;
    store.SaveSnapshot(read);
    EXPECT_TRUE(store.Certain()) << call;
  }
}

// Changes of other snapshots are of no use; that they cannot be removed is no reason to stop.
TEST(ManifestStore, GoesOnWhenOldChangesCannotBeRemoved) {
  SimulatedDisk disk;
  disk.MakeDirectories("lake");
  ManifestStore store(disk, "lake");
  store.Load();
  Manifest manifest = Ten();
  store.SaveSnapshot(manifest);
  ManifestChange change;
  change.landed = {20};
  store.Append(change);
  ASSERT_TRUE(disk.Exists("lake/manifest.changes-1"));
  uint64_t before = disk.Calls();
  ManifestStore(*disk.KillState(), "lake");
  {
    auto copy = disk.KillState();
    ManifestStore again(*copy, "lake");
    Manifest read = again.Load();
    uint64_t calls = copy->Calls();
    again.SaveSnapshot(read);
    before = copy->Calls() - calls;  // the last is the removal
  }
  ManifestStore again(disk, "lake");
  Manifest read = again.Load();
  EXPECT_EQ(read.landed, Offset{20});
  disk.FailCall(before, SimulatedDisk::Fault::kIoError);
  again.SaveSnapshot(read);
  EXPECT_TRUE(again.Certain());
  EXPECT_TRUE(disk.Exists("lake/manifest.changes-1"));
  change.landed = {30};
  again.Append(change);
  EXPECT_EQ(ManifestStore(disk, "lake").Load().landed, Offset{30});
  again.SaveSnapshot(read);
  EXPECT_FALSE(disk.Exists("lake/manifest.changes-1"));
}

}  // namespace
}  // namespace weir
