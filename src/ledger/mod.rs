//! A node's few durable facts in one small file.
