//! Every metric's name, label and help.
