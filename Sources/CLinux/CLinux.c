#include "CLinux.h"

#include <stdio.h>

static _Thread_local char words[256];

int martlet_bpf_keep_words(const char *format, va_list arguments) {
  if (words[0] == '\0') vsnprintf(words, sizeof words, format, arguments);
  return 0;
}

const char *martlet_bpf_words(void) { return words; }

void martlet_bpf_forget_words(void) { words[0] = '\0'; }
