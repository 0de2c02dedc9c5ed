#include "lake/manifest.h"

#include <fmt/format.h>
#include <zlib.h>

#include <unordered_map>

#include "base/crc32c.h"
#include "base/error.h"
#include "simdjson.h"

namespace weir {
namespace {

// Folder and file names come from stream names and numbers; quotes and controls are escaped there.
std::string Quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

[[noreturn]] void Damaged(std::string_view what) {
  throw Error(ErrorCode::kCorruption, "the lake's manifest is damaged: " + std::string(what),
              kManifestLost);
}

void Check(const Manifest& manifest) {
  std::map<uint32_t, std::vector<const ManifestFile*>> streams;
  for (auto& file : manifest.files) streams[file.stream.value].push_back(&file);
  for (auto& [stream, landed] : manifest.held) {
    if (landed > manifest.landed) Damaged("a stream is held back beyond what has landed");
  }
  for (auto& [stream, files] : streams) {
    auto held = manifest.held.find(stream);
    auto wrong = Contradiction(files, held == manifest.held.end() ? manifest.landed : held->second);
    if (!wrong.empty()) Damaged(wrong);
  }
}

std::map<uint32_t, Offset> ReadHeld(simdjson::dom::element root) {
  std::map<uint32_t, Offset> held;
  simdjson::dom::array entries;
  if (root["held"].get(entries) != simdjson::SUCCESS) return held;
  for (auto entry : entries) {
    held[static_cast<uint32_t>(uint64_t(entry["stream"]))] = {uint64_t(entry["landed"])};
  }
  return held;
}

void ReadFolders(simdjson::dom::element root, std::map<uint32_t, std::string>& folders) {
  for (auto entry : simdjson::dom::array(root["folders"])) {
    folders[static_cast<uint32_t>(uint64_t(entry["stream"]))] =
        std::string(std::string_view(entry["folder"]));
  }
}

// Earlier versions say the hour and no more.
void ReadArrival(simdjson::dom::element entry, ManifestFile& file) {
  int64_t hour = int64_t(entry["hour"]);
  file.arrived_first = hour * kHour;
  file.arrived_last = (hour + 1) * kHour - 1;
  simdjson::dom::array arrived;
  if (entry["arrived"].get(arrived) != simdjson::SUCCESS) return;
  file.arrived_first = int64_t(arrived.at(0));
  file.arrived_last = int64_t(arrived.at(1));
}

ManifestFile ReadFile(simdjson::dom::element entry) {
  ManifestFile file;
  file.stream.value = static_cast<uint32_t>(uint64_t(entry["stream"]));
  file.path = std::string(std::string_view(entry["path"]));
  file.first.value = uint64_t(entry["first"]);
  file.last.value = uint64_t(entry["last"]);
  file.rows = uint64_t(entry["rows"]);
  file.bytes = uint64_t(entry["bytes"]);
  ReadArrival(entry, file);
  uint64_t seal;
  if (entry["seal"].get(seal) == simdjson::SUCCESS) file.seal = static_cast<uint32_t>(seal);
  return file;
}

Manifest Parse(std::string_view body) {
  simdjson::dom::parser parser;
  simdjson::dom::element root = parser.parse(body.data(), body.size());
  uint64_t version = uint64_t(root["version"]);
  if (version < 1 || version > 2) Damaged("its version is unknown");
  Manifest manifest;
  uint64_t number;
  if (root["number"].get(number) == simdjson::SUCCESS) manifest.number = number;
  manifest.landed.value = uint64_t(root["landed"]);
  manifest.held = ReadHeld(root);
  ReadFolders(root, manifest.folders);
  for (auto entry : simdjson::dom::array(root["files"])) {
    manifest.files.push_back(ReadFile(entry));
  }
  Check(manifest);
  return manifest;
}

// A manifest that changes are applied to: its files by path.
class Changing {
 public:
  explicit Changing(Manifest& manifest) : manifest_(manifest) {
    for (auto& file : manifest.files) Add(std::move(file));
    manifest.files.clear();
  }
  void Apply(std::string_view json) {
    simdjson::dom::element root = parser_.parse(json.data(), json.size());
    manifest_.landed.value = uint64_t(root["landed"]);
    manifest_.held = ReadHeld(root);
    ReadFolders(root, manifest_.folders);
    for (auto path : simdjson::dom::array(root["removed"])) {
      auto found = paths_.find(std::string(std::string_view(path)));
      if (found == paths_.end()) Damaged("a change removes a file that is not there");
      files_.erase(found->second);
      paths_.erase(found);
    }
    for (auto entry : simdjson::dom::array(root["added"])) Add(ReadFile(entry));
  }
  void Finish() {
    for (auto& [key, file] : files_) manifest_.files.push_back(std::move(file));
    Check(manifest_);
  }

 private:
  void Add(ManifestFile file) {
    std::pair key{file.stream.value, file.first.value};
    bool is_new = paths_.emplace(file.path, key).second;
    if (!is_new || !files_.emplace(key, std::move(file)).second) {
      Damaged("a change adds a file that is there");
    }
  }

  Manifest& manifest_;
  simdjson::dom::parser parser_;
  std::map<std::pair<uint32_t, uint64_t>, ManifestFile> files_;
  std::unordered_map<std::string, std::pair<uint32_t, uint64_t>> paths_;
};

std::string HeldText(const std::map<uint32_t, Offset>& held, std::string_view line) {
  std::string text = "\"held\": [";
  std::string_view separator = line;
  for (auto& [id, landed] : held) {
    text += fmt::format("{}{{\"stream\": {}, \"landed\": {}}}", separator, id, landed.value);
    separator = line == "\n" ? ",\n" : ", ";
  }
  return text + "]";
}

std::string FoldersText(const std::map<uint32_t, std::string>& folders, std::string_view line) {
  std::string text = "\"folders\": [";
  std::string_view separator = line;
  for (auto& [id, folder] : folders) {
    text += fmt::format("{}{{\"stream\": {}, \"folder\": {}}}", separator, id, Quoted(folder));
    separator = line == "\n" ? ",\n" : ", ";
  }
  return text + "]";
}

std::string FileText(const ManifestFile& file) {
  std::string text = fmt::format(
      "{{\"stream\": {}, \"first\": {}, \"last\": {}, \"rows\": {}, \"bytes\": {}, "
      "\"hour\": {}, \"arrived\": [{}, {}], ",
      file.stream.value, file.first.value, file.last.value, file.rows, file.bytes, file.FirstHour(),
      file.arrived_first, file.arrived_last);
  if (file.seal) text += fmt::format("\"seal\": {}, ", *file.seal);
  return text + fmt::format("\"path\": {}}}", Quoted(file.path));
}

constexpr size_t kSumLength = 9;  // eight digits and a space

// The JSON of a line; nothing when its checksum is not right.
std::optional<std::string_view> LineContent(std::string_view line) {
  if (line.size() < kSumLength) return std::nullopt;
  std::string_view json = line.substr(kSumLength);
  if (line.substr(0, kSumLength) != fmt::format("{:08x} ", Crc32c(json))) return std::nullopt;
  return json;
}

}  // namespace

std::string Contradiction(const std::vector<const ManifestFile*>& files, Offset landed) {
  const ManifestFile* before = nullptr;
  for (auto* file : files) {
    auto wrong = [&](std::string_view what) { return fmt::format("\"{}\" {}", file->path, what); };
    if (file->first.value == 0 || file->first > file->last)
      return wrong("holds no range of offsets");
    if (file->last > landed) return wrong("goes beyond what has landed");
    if (file->rows == 0 || file->rows > file->last.value - file->first.value + 1) {
      return wrong("has not as many rows as offsets");
    }
    if (before && before->last >= file->first) {
      return wrong(fmt::format("overlaps \"{}\"", before->path));
    }
    if (file->arrived_first > file->arrived_last || file->arrived_first < 0) {
      return wrong("holds no range of time");
    }
    if (file->LastHour() / kHoursInDay != file->Day()) return wrong("is of more than one day");
    // By the hour, for of some files no more is known.
    if (before && before->LastHour() > file->FirstHour()) {
      return wrong(fmt::format("is of an earlier hour than \"{}\"", before->path));
    }
    before = file;
  }
  return "";
}

std::string SaveManifest(const Manifest& manifest) {
  std::string text = fmt::format("{{\"version\": 2, \"number\": {}, \"landed\": {},\n",
                                 manifest.number, manifest.landed.value);
  text += HeldText(manifest.held, "\n") + ",\n";
  text += FoldersText(manifest.folders, "\n") + ",\n\"files\": [";
  const char* separator = "\n";
  for (auto& file : manifest.files) {
    text += separator + FileText(file);
    separator = ",\n";
  }
  return text + "]}\n";
}

std::string SaveChange(const ManifestChange& change) {
  std::string json = fmt::format("{{\"landed\": {}, ", change.landed.value);
  json += HeldText(change.held, "") + ", " + FoldersText(change.folders, "") + ", \"removed\": [";
  const char* separator = "";
  for (auto& [stream, path] : change.removed) {
    json += separator + Quoted(path);
    separator = ", ";
  }
  json += "], \"added\": [";
  separator = "";
  for (auto& file : change.added) {
    json += separator + FileText(file);
    separator = ", ";
  }
  json += "]}";
  ASSERT(json.find('\n') == std::string::npos);  // a line more would be a torn one
  return fmt::format("{:08x} {}\n", Crc32c(json), json);
}

bool ApplyChanges(std::string_view lines, Manifest& manifest) {
  if (lines.empty()) return true;
  Changing changing(manifest);
  size_t torn = 0, number = 0;  // the first line that is not whole
  while (!lines.empty()) {
    number++;
    size_t end = lines.find('\n');
    auto json = end == std::string_view::npos ? std::nullopt : LineContent(lines.substr(0, end));
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
    if (!json) {
      if (torn == 0) torn = number;
      continue;
    }
    if (torn != 0) Damaged(fmt::format("change {} does not match its checksum", torn));
    try {
      changing.Apply(*json);
    } catch (const simdjson::simdjson_error& error) {
      Damaged(error.what());
    }
  }
  changing.Finish();
  return torn == 0;
}

Manifest LoadManifest(std::string_view json) {
  try {
    return Parse(json);
  } catch (const simdjson::simdjson_error& error) {
    Damaged(error.what());
  }
}

std::string_view WithoutTrailer(std::string_view text) {
  constexpr size_t kTrailer = sizeof("{\"crc32\": \"00000000\"}\n") - 1;
  if (text.size() < kTrailer) Damaged("it is cut short");
  std::string_view body = text.substr(0, text.size() - kTrailer);
  uint32_t sum = static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
  if (text.substr(body.size()) != fmt::format("{{\"crc32\": \"{:08x}\"}}\n", sum)) {
    Damaged("its checksum does not match");
  }
  return body;
}

std::string SavePaths(const std::vector<std::string>& paths) {
  std::string text;
  for (auto& path : paths) {
    ASSERT(path.find('\n') == std::string::npos);
    text += path + "\n";
  }
  return text;
}

std::vector<std::string> LoadPaths(std::string_view text) {
  std::vector<std::string> paths;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) break;
    paths.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return paths;
}

}  // namespace weir
