// Where pump marks are kept whose log records the log has forgotten: one small file
// (io/small_file.h), written before the log may forget.
//
// Content: "at OFFSET", up to which all records have their marks in it, then a line for each pump:
// id, and the offset, clock and log time of its mark.  Files of earlier versions begin with
// "weir pump marks 2" and do not say up to where they go.
// Owned by the engine; one thread at a time.
#pragma once

#include <map>
#include <string>

#include "formats/pump_mark.h"
#include "io/disk/small_file.h"

namespace weir {

struct SavedMarks {
  std::map<uint32_t, InputMark> by_pump;
  Offset at;
};

class MarksFile {
 public:
  MarksFile(Disk& disk, std::string path, OnUnknownOutcome on_unknown = {});

  // Nothing kept when there is no file.  Throws Error(kCorruption), naming the file.
  SavedMarks Load();
  // Does nothing when the marks are those that were saved last.
  // REQUIRES: none lies before the one that was saved last.
  void Save(const SavedMarks& marks);

 private:
  SmallFile file_;
  std::string last_;  // the marks that were saved last
  SavedMarks saved_;  // the same
};

}  // namespace weir
