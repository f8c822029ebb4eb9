//! Byte encodings: checked cursors, variable-length integers, CRC-64.
