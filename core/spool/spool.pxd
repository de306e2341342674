# spool_t: one spool directory on one disk.  Loops hand over work in spool_commit,
# spool_state and spool_forget; one flusher thread writes, syncs and keeps the
# books; the keeper thread prepares, compacts and recycles segments.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.c.posix cimport iovec, pthread_cond_t, pthread_mutex_t, pthread_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.post cimport post_t

cdef enum:
    PLACE_PAGE = 65536
    PLACE_PAGES = 4096
    SEGMENTS = 65536

cdef enum segment_state_t:
    SEGMENT_OPEN                # being written
    SEGMENT_SEALED
    SEGMENT_GONE                # recycled; the entry may be used again

cdef struct segment_t:
    uint64_t number
    uint64_t salt
    uint64_t base_seq
    uint64_t size               # without the last block
    uint64_t used               # bytes written, block-aligned
    uint64_t batches
    uint64_t entries            # records written that an index may have to name
    uint64_t ids                # tombstones and aborts written
    int64_t live_bytes          # of records that still count
    int64_t live                # how many
    uint32_t kind
    uint32_t state
    int fd
    bint synced                 # some batch of it was synced
    bint forced                 # hot: copies of its records may lie in the cold log; it goes before any cold segment
    bint stuck                  # has a live record that cannot be read: no use in compacting it again
    segment_t *next             # oldest first within its kind

# Where a live record lies.  Handle 0 is none.  Owned by the flusher, read under places_lock.
cdef struct place_t:
    uint32_t segment            # index in segments, 0: free
    uint32_t offset
    uint32_t length             # of the payload
    uint32_t refs               # bodies: recipients that still need it; free: next free handle

ctypedef void (*spool_done_fn)(spool_txn_t *t, int rc) noexcept nogil

cdef struct spool_meta_t:
    uint64_t seq
    slice_t bytes               # borrowed until done
    uint32_t handle             # out

cdef struct spool_txn_t:        # embedded in its owner
    post_t post                 # first
    spool_txn_t *next
    loop_t *loop                # where done runs
    spool_done_fn done
    uint64_t seq                # the transaction and its body
    slice_t body                # borrowed until done
    bint large                  # body holds a large_record_t; the file is already synced
    uint8_t flags               # kept in the body's record
    uint32_t metas_count
    spool_meta_t *metas
    uint32_t body_handle        # out
    uint64_t since_ns           # when it was handed over
    int rc

cdef struct spool_tomb_t:
    uint64_t seq
    uint32_t meta
    uint32_t state              # 0: none
    uint32_t body

cdef struct spool_state_t:      # one STATE to write, allocated by spool_state, freed by the flusher's post
    post_t post
    spool_state_t *next
    loop_t *loop
    uint64_t seq
    uint64_t version
    uint32_t meta
    uint32_t old                # handle it replaces, 0: none
    uint32_t handle             # out; 0 where it could not be written
    void (*done)(spool_state_t *s) noexcept nogil
    void *owner
    uint32_t length
    char bytes[1]

cdef struct spool_loop_t:       # a loop's PLACE_SPOOL: what its iteration in hand brings
    spool_txn_t *txn_head
    spool_txn_t *txn_tail
    uint64_t txn_count
    spool_state_t *state_head
    spool_state_t *state_tail
    buf_t tombs                 # spool_tomb_t

cdef struct spool_log_t:        # hot or cold
    uint32_t kind
    segment_t *oldest
    segment_t *current          # NULL: the next write opens one
    buf_t index                 # index_entry_t of its synced records
    buf_t tombs                 # u64 sequences whose tombstones it has, synced
    buf_t aborts                # u64 transactions likewise
    bint blind                  # no memory for one of these: it gets no index

cdef struct spool_chunk_t:      # survivors read by the keeper, to be written by the flusher
    segment_t *source
    uint32_t n
    uint32_t cap
    uint32_t *handles
    uint32_t *offsets           # where each was when it was read
    uint32_t *new_offsets       # out
    size_t *starts              # of each record in bytes
    buf_t bytes
    bint waiting                # the flusher has not done it yet
    bint failed

cdef struct spool_t:
    char base[512]
    int lock_fd
    uint64_t segment_size
    uint32_t ratio              # compact above ratio times live bytes
    uint32_t mode
    uint64_t backlog_max
    uint64_t retry_ms
    uint64_t next_seq           # atomic
    uint64_t first_seq          # of this process
    uint64_t next_number
    # handed over by loops once per iteration, under lock
    pthread_mutex_t lock
    pthread_cond_t work
    spool_txn_t *txn_head
    spool_txn_t *txn_tail
    uint64_t txn_count
    uint64_t oldest_ns          # since when the oldest transaction waits, or the flusher works; 0: neither
    buf_t tombs                 # spool_tomb_t
    uint64_t tombs_since_ms
    spool_state_t *state_head
    spool_state_t *state_tail
    bint waiting
    bint stopping
    # the flusher's own
    pthread_t flusher
    spool_log_t hot
    spool_log_t cold
    buf_t stage                 # headers and small payloads of a batch
    iovec *iov
    uint32_t iov_len
    uint32_t iov_cap
    uint64_t unsynced_ms        # since when written tombs wait for a sync; 0: none
    buf_t redo_tombs            # u64 sequences not yet synced in the hot log
    size_t hot_tombs_written    # bytes of redo_tombs that the current segment has
    buf_t redo_cold             # the same for the cold log, whose batches are synced at once
    buf_t aborts                # u64 transactions to abort
    size_t aborts_written
    uint32_t *offsets           # of the records of the batch being written
    uint32_t offsets_cap
    spool_state_t *held         # states that could not be written yet
    spool_state_t *written      # states in the current hot segment that no sync covers yet
    buf_t large_gone            # u64 transactions whose file goes once the tombstones are synced
    # places
    pthread_mutex_t places_lock
    place_t *places[PLACE_PAGES]
    uint32_t places_used        # handles ever made
    uint32_t places_free        # head of the free list
    segment_t segments[SEGMENTS]
    uint32_t segments_used
    int64_t live_bytes
    int64_t total_bytes         # of sealed and open segments
    # the keeper's, under lock
    pthread_t keeper
    pthread_cond_t chores
    segment_t *dead             # to be recycled, in this order
    int spares[4]
    uint32_t spares_n
    spool_chunk_t chunk
    buf_t unlinks               # u64 sequences of large files to remove
    uint32_t old_segments       # how many an earlier process left
    uint32_t recover_done       # of those, read
    uint32_t recover_scanned    # of those, whole: they had no index
    bint recovered              # places are complete: compaction may run
    bint want_spare             # the current segment is half full and no other is ready
    uint64_t busy_ms            # when mail came last
    bint tidy                   # the flusher is to look for what can be recycled
    bint flushed                # the flusher has ended
    # what others read, atomic
    uint32_t degraded           # errno of a disk that refuses; 0: fine
    uint64_t stat_batches
    uint64_t stat_txns
    uint64_t stat_bytes         # written to segments
    uint64_t stat_syncs
    uint64_t stat_recycled
    uint64_t stat_copied


cdef spool_t *spool_main() noexcept nogil                               # the process has one
cdef uint64_t spool_take_seq(spool_t *s, uint32_t n) noexcept nogil     # first of n fresh sequences
cdef int spool_ready(spool_t *s) noexcept nogil                         # EC_OK, EC_LIMIT: backlog, EC_IO: disk refuses
# From the loop's thread: the flusher hears of it at the end of the iteration.
cdef void spool_commit(spool_t *s, loop_t *loop, spool_txn_t *t) noexcept nogil
cdef void spool_forget(spool_t *s, loop_t *loop, uint64_t seq, uint32_t meta, uint32_t state, uint32_t body) noexcept nogil
cdef void spool_state(spool_state_t *st) noexcept nogil                 # from st.loop
cdef void spool_forget_now(spool_t *s, const spool_tomb_t *t) noexcept nogil    # from any thread
cdef spool_state_t *spool_state_new(uint32_t length) noexcept nogil
cdef void spool_large_path(spool_t *s, uint64_t seq, char *out, size_t size) noexcept nogil

cdef spool_t *spool_look(str base) except NULL
cdef void spool_unlook(spool_t *s) noexcept
