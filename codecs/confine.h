/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Giving up rights, for good, of the calling thread and all that come of it. */
#ifndef AEI_CONFINE_H
#define AEI_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

/* Nothing is opened, made or removed any more, nobody outside reached by name: Landlock. False
 * where the kernel has none. */
bool aei_confine_files(void);
bool aei_can_confine_files(void);
/* From now on files are written, made and removed only where these paths lie: in the directory of
 * each, or of the directories that lead there in the last one that there is. Landlock. */
bool aei_confine_writes(const char *const *paths, size_t n);
/* No more than to read and write what is open, to take memory and to start threads; all other calls
 * fail: seccomp. The filter names the calling process, which can fork none. False where that cannot
 * be had. */
bool aei_confine_calls(void);
/* For a tool itself: no program is started any more, no process forked, no network reached,
 * nobody's memory looked into; seccomp. */
bool aei_confine_tool(void);

#endif
