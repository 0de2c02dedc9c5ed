// What the thread sanitizer must not tell, in any test.
#if defined(__SANITIZE_THREAD__)

// DuckDB's library is not instrumented: the sanitizer sees neither its barriers nor its tasks.  Its
// window operator takes the locks of two partitions in either order, in one thread.  What it calls
// of the C++ library's inline functions is the test's own, instrumented copy: of a count of
// references the sanitizer sees some decrements and none of the increments.  Only the count itself
// is left out: a destructor that runs at zero is another frame.  Its allocator makes the locks of
// an arena in one thread and looks at them from others.
//
// An exception that crosses threads is counted inside the C++ library, which is not instrumented
// either: the last release looks like a race with whoever read the exception before.
//
// It takes mmap over a page for a write to it; the kernel puts the same bytes in its place at once,
// and who reads meanwhile sees them (PageFileTest.WhoReadsWhileAPageMoves...), or zeros in place of
// bytes that are lost, on which who read them waits.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "deadlock:libduckdb.so\n"
         "race:duckdb_je_malloc_mutex_init\n"
         "race_top:std::_Sp_counted_base*\n"
         "race_top:__gnu_cxx::__exchange_and_add*\n"
         "race:std::__exception_ptr::exception_ptr::_M_release\n"
         "race:OnBusError\n"
         "race:weir::PageFile::MoveToFile\n";
}

#endif
