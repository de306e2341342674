# Intrusive doubly linked list: embed list_node_t, the head is a node too.

cdef struct list_node_t:
    list_node_t *next
    list_node_t *prev


cdef inline void list_init(list_node_t *head) noexcept nogil:
    head.next = head
    head.prev = head


cdef inline bint list_empty(list_node_t *head) noexcept nogil:
    return head.next == head


cdef inline void list_append(list_node_t *head, list_node_t *node) noexcept nogil:
    node.prev = head.prev
    node.next = head
    head.prev.next = node
    head.prev = node


cdef inline void list_prepend(list_node_t *head, list_node_t *node) noexcept nogil:
    node.next = head.next
    node.prev = head
    head.next.prev = node
    head.next = node


cdef inline void list_remove(list_node_t *node) noexcept nogil:
    """Leaves the node linked to itself, so removing twice is harmless."""
    node.prev.next = node.next
    node.next.prev = node.prev
    node.next = node
    node.prev = node
