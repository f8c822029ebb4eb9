//! The request scanner and the reply writer of RESP2 and RESP3.
