/* Without pcap/bpf.h, whose structures have the names of linux/bpf.h's and libbpf's: nothing could import this module and one of
   those. A program for the filter is opaque then. */
#define PCAP_DONT_INCLUDE_PCAP_BPF_H
struct bpf_program;
#include <pcap/dlt.h>
#include <pcap/pcap.h>
