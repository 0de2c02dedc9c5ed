// ThreadSanitizer takes mmap over a page for a write to it; the kernel puts the same bytes in its
// place at once, and who reads meanwhile sees them (PageFileTest.WhoReadsWhileAPageMoves...).
#if defined(__SANITIZE_THREAD__)
extern "C" const char* __tsan_default_suppressions() { return "race:weir::PageFile::MoveToFile\n"; }
#endif
