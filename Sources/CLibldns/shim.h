/* First: the headers have a bool of another width than the library where there is none yet. */
#include <stdbool.h>

#include <ldns/ldns.h>

/* ldns reads and writes a header in place by macros, which Swift cannot call. `message` has LDNS_HEADER_SIZE bytes or more. */

static inline uint16_t martlet_ldns_id(const uint8_t *message) { return LDNS_ID_WIRE(message); }
static inline void martlet_ldns_set_id(uint8_t *message, uint16_t id) { LDNS_ID_SET(message, id); }
static inline bool martlet_ldns_is_response(const uint8_t *message) { return LDNS_QR_WIRE(message) != 0; }
static inline bool martlet_ldns_is_truncated(const uint8_t *message) { return LDNS_TC_WIRE(message) != 0; }
static inline bool martlet_ldns_recursion_desired(const uint8_t *message) { return LDNS_RD_WIRE(message) != 0; }
static inline uint8_t martlet_ldns_opcode(const uint8_t *message) { return LDNS_OPCODE_WIRE(message); }
static inline uint8_t martlet_ldns_rcode(const uint8_t *message) { return LDNS_RCODE_WIRE(message); }
static inline uint16_t martlet_ldns_question_count(const uint8_t *message) { return LDNS_QDCOUNT(message); }
static inline uint16_t martlet_ldns_additional_count(const uint8_t *message) { return LDNS_ARCOUNT(message); }
