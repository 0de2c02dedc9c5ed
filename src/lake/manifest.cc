#include "lake/manifest.h"

#include <fmt/format.h>
#include <zlib.h>

#include "base/error.h"
#include "simdjson.h"

namespace weir {
namespace {

uint32_t Checksum(std::string_view text) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
}

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
              "Restore lake/manifest.json from a backup, or start with an empty lake folder if the "
              "log still holds every event.");
}

Manifest Parse(std::string_view body) {
  simdjson::dom::parser parser;
  simdjson::dom::element root = parser.parse(body.data(), body.size());
  if (uint64_t(root["version"]) != 1) Damaged("its version is unknown");
  Manifest manifest;
  manifest.landed.value = uint64_t(root["landed"]);
  for (auto entry : simdjson::dom::array(root["folders"])) {
    manifest.folders[static_cast<uint32_t>(uint64_t(entry["stream"]))] =
        std::string(std::string_view(entry["folder"]));
  }
  for (auto entry : simdjson::dom::array(root["files"])) {
    ManifestFile file;
    file.stream.value = static_cast<uint32_t>(uint64_t(entry["stream"]));
    file.path = std::string(std::string_view(entry["path"]));
    file.first.value = uint64_t(entry["first"]);
    file.last.value = uint64_t(entry["last"]);
    file.rows = uint64_t(entry["rows"]);
    file.bytes = uint64_t(entry["bytes"]);
    file.hour = int64_t(entry["hour"]);
    manifest.files.push_back(std::move(file));
  }
  return manifest;
}

}  // namespace

std::string SaveManifest(const Manifest& manifest) {
  std::string text =
      fmt::format("{{\"version\": 1, \"landed\": {},\n\"folders\": [", manifest.landed.value);
  const char* separator = "\n";
  for (auto& [id, folder] : manifest.folders) {
    text += fmt::format("{}{{\"stream\": {}, \"folder\": {}}}", separator, id, Quoted(folder));
    separator = ",\n";
  }
  text += "],\n\"files\": [";
  separator = "\n";
  for (auto& file : manifest.files) {
    text += fmt::format(
        "{}{{\"stream\": {}, \"first\": {}, \"last\": {}, \"rows\": {}, \"bytes\": {}, "
        "\"hour\": {}, \"path\": {}}}",
        separator, file.stream.value, file.first.value, file.last.value, file.rows, file.bytes,
        file.hour, Quoted(file.path));
    separator = ",\n";
  }
  text += "]}\n";
  text += fmt::format("{{\"crc32\": \"{:08x}\"}}\n", Checksum(text));
  return text;
}

Manifest LoadManifest(std::string_view text) {
  constexpr size_t kTrailer = sizeof("{\"crc32\": \"00000000\"}\n") - 1;
  if (text.size() < kTrailer) Damaged("it is cut short");
  std::string_view body = text.substr(0, text.size() - kTrailer);
  if (text.substr(body.size()) != fmt::format("{{\"crc32\": \"{:08x}\"}}\n", Checksum(body))) {
    Damaged("its checksum does not match");
  }
  try {
    return Parse(body);
  } catch (const simdjson::simdjson_error& error) {
    Damaged(error.what());
  }
}

std::string SavePaths(const std::vector<std::string>& paths) {
  std::string text;
  for (auto& path : paths) text += path + "\n";
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
