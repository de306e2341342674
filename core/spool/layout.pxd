# What lies on disk; docs/spool.md is its prose.  All numbers little-endian.
#
# segment: header block (4 KiB) · batch · batch · ... · trailer block · header block again
#          each batch starts on a 4 KiB boundary; a sealed segment's last batch is its index
# batch:   batch_header_t · record · record · ... · zeros
# record:  record_header_t · payload · zeros to 8 bytes
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #define SPOOL_BLOCK 4096u
    #define SPOOL_VERSION 2u
    #define SPOOL_MAGIC 0x314c4f4f50534345ull      /* "ECSPOOL1" */
    #define SPOOL_BATCH_MAGIC 0x48435442u          /* "BTCH" */
    #define SPOOL_TRAILER_MAGIC 0x31444e4550534345ull      /* "ECSPEND1" */
    typedef struct __attribute__((packed)) {
        uint64_t magic; uint32_t version; uint32_t kind; uint64_t number; uint64_t salt; uint64_t base_seq; uint64_t size; uint32_t crc;
    } segment_header_t;
    typedef struct __attribute__((packed)) {
        uint32_t magic; uint32_t crc; uint64_t salt; uint64_t number; uint32_t length; uint32_t records;
    } batch_header_t;
    typedef struct __attribute__((packed)) {
        uint8_t type; uint8_t flags; uint16_t count; uint32_t length; uint64_t seq; uint64_t ref; uint32_t payload_crc; uint32_t header_crc;
    } record_header_t;
    typedef struct __attribute__((packed)) {
        uint64_t magic; uint64_t salt; uint64_t at; uint32_t length; uint32_t records; uint32_t crc;
    } segment_trailer_t;
    typedef struct __attribute__((packed)) {
        uint64_t seq; uint64_t ref; uint32_t offset; uint32_t length; uint8_t type; uint8_t flags; uint16_t reserved; uint32_t handle;
    } index_entry_t;
    _Static_assert(sizeof(index_entry_t) == 32, "index entry");
    _Static_assert(sizeof(batch_header_t) == 32, "batch header");
    _Static_assert(sizeof(record_header_t) == 32, "record header");
    """
    enum:
        SPOOL_BLOCK
        SPOOL_VERSION
        SPOOL_BATCH_MAGIC
    uint64_t SPOOL_MAGIC
    uint64_t SPOOL_TRAILER_MAGIC
    ctypedef struct segment_header_t:
        uint64_t magic
        uint32_t version
        uint32_t kind           # segment_kind_t
        uint64_t number         # never reused in this spool
        uint64_t salt           # new with every use of the file: what an earlier use left does not count
        uint64_t base_seq       # every sequence written here is above it
        uint64_t size           # of the file
        uint32_t crc            # of the fields above
    ctypedef struct batch_header_t:
        uint32_t magic
        uint32_t crc            # of the fields below
        uint64_t salt
        uint64_t number         # 0, 1, 2 ... in the segment
        uint32_t length         # with header and padding: a multiple of SPOOL_BLOCK
        uint32_t records
    ctypedef struct record_header_t:
        uint8_t type            # record_type_t
        uint8_t flags
        uint16_t count          # META: of the last one of a transaction, how many it has; STATE: how many before it, modulo 65536
        uint32_t length         # of the payload
        uint64_t seq            # body, meta: its own; others: see record_type_t
        uint64_t ref            # the transaction
        uint32_t payload_crc
        uint32_t header_crc     # of the fields above, begun with the salt
    ctypedef struct segment_trailer_t:
        uint64_t magic
        uint64_t salt           # the segment's
        uint64_t at             # where the index's batch lies
        uint32_t length         # of it
        uint32_t records
        uint32_t crc            # of the fields above
    ctypedef struct index_entry_t:
        uint64_t seq            # of the record
        uint64_t ref
        uint32_t offset
        uint32_t length         # of its payload
        uint8_t type
        uint8_t flags
        uint16_t reserved
        uint32_t handle         # 0 on disk

cdef enum segment_kind_t:
    SEGMENT_FREE = 0            # prepared or recycled: holds nothing
    SEGMENT_HOT = 1             # new mail
    SEGMENT_COLD = 2            # survivors of older segments

cdef enum record_type_t:
    RECORD_BODY = 1             # seq = transaction
    RECORD_LARGE = 2            # stands for a body in a file of its own, large/<transaction in hex>; payload: u64 size, u64 start
    RECORD_META = 3             # one recipient; ref = transaction, which its last one commits
    RECORD_STATE = 5            # seq = meta, ref = version: the newest one counts
    RECORD_TOMB = 6             # payload: u64 sequences of metas that are gone
    RECORD_ABORT = 7            # payload: u64 transactions whose sync failed
    RECORD_INDEX = 8            # payload: index_entry_t of the records that lived when the segment was sealed


cdef inline uint32_t record_space(uint32_t length) noexcept nogil:
    """Bytes a record takes: header, payload, zeros to 8."""
    return <uint32_t>sizeof(record_header_t) + ((length + 7) & ~<uint32_t>7)


cdef inline uint64_t block_up(uint64_t n) noexcept nogil:
    return (n + SPOOL_BLOCK - 1) & ~<uint64_t>(SPOOL_BLOCK - 1)
