//! What every disk and every network must do, run on each implementation; each check gets an empty directory.
//!
//! Left out: what only power loss shows; that is tested where power can be lost.

use std::io::ErrorKind;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::env::{Advice, Disk, File, Net, OpenMode};

/// One promise of [`Disk`] and [`File`].
pub(crate) type DiskCheck = fn(&dyn Disk, &Path);

/// All of them, with their names for the message of a failure.
pub(crate) const DISK_CHECKS: &[(&str, DiskCheck)] = &[
    ("a file reads back what was written", reads_back),
    ("a file ends where it ends", ends),
    ("cutting and reserving set the length", lengths),
    ("opening follows the mode", opening),
    ("a cached read is right or refused", cached_reads),
    ("renaming replaces and open files go on", renaming),
    ("a file has two names", linking),
    ("directories list their names in order", directories),
    ("what is absent is told with its path", absent),
    ("a lock is held once", locks),
    ("free space is told", free_space),
    ("threads share a file", shared),
];

fn create(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Box<dyn File> {
    let file = disk.open(path, OpenMode::CreateNew).unwrap();
    file.write_at(bytes, 0).unwrap();
    file
}

fn contents(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0xAA; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn reads_back(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("file");
    let file = create(disk, &path, b"hello world");
    file.write_at(b"W", 6).unwrap();
    file.write_at(b"!", 13).unwrap();
    file.sync().unwrap();
    assert_eq!(contents(&*file), b"hello World\0\0!");
    drop(file);
    disk.sync_dir(dir).unwrap();
    assert_eq!(contents(&*disk.open(&path, OpenMode::Read).unwrap()), b"hello World\0\0!");
}

fn ends(disk: &dyn Disk, dir: &Path) {
    let file = disk.open(&dir.join("file"), OpenMode::CreateNew).unwrap();
    assert!(file.is_empty().unwrap());
    file.write_at(b"12345", 0).unwrap();
    assert!(!file.is_empty().unwrap());
    let mut bytes = [0; 3];
    file.read_at(&mut bytes, 2).unwrap();
    assert_eq!(&bytes, b"345");
    for offset in [3, 5, 1 << 40] {
        assert_eq!(file.read_at(&mut bytes, offset).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
    file.read_at(&mut [], 5).unwrap();
    file.write_at(&[], 9).unwrap();
    assert_eq!(file.len().unwrap(), 5);
}

fn lengths(disk: &dyn Disk, dir: &Path) {
    let file = create(disk, &dir.join("file"), b"abcdef");
    file.truncate(2).unwrap();
    file.truncate(4).unwrap();
    assert_eq!(contents(&*file), b"ab\0\0");
    file.reserve(6).unwrap();
    assert_eq!(contents(&*file), b"ab\0\0\0\0");
    file.reserve(0).unwrap();
    file.reserve(3).unwrap();
    assert_eq!(file.len().unwrap(), 6);
    file.truncate(0).unwrap();
    assert_eq!(file.len().unwrap(), 0);
}

fn opening(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("file");
    drop(create(disk, &path, b"old"));
    let again = disk.open(&path, OpenMode::CreateNew).err().unwrap();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    disk.open(&path, OpenMode::Read).unwrap().write_at(b"x", 0).unwrap_err();
    let file = disk.open(&path, OpenMode::ReadWrite).unwrap();
    file.write_at(b"n", 0).unwrap();
    assert_eq!(contents(&*file), b"nld");
}

fn cached_reads(disk: &dyn Disk, dir: &Path) {
    let written: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
    let file = create(disk, &dir.join("file"), &written);
    file.advise(0, 100_000, Advice::WillNeed);
    for offset in (0..99_000).step_by(997) {
        let mut bytes = [0; 1000];
        if file.read_if_cached(&mut bytes, offset).unwrap() {
            assert_eq!(bytes[..], written[offset as usize..offset as usize + 1000]);
        }
    }
    assert!(!file.read_if_cached(&mut [0; 10], 99_995).unwrap_or(false), "no read passes the end");
    file.advise(0, 0, Advice::DontNeed);
    file.advise(0, 100_000, Advice::DontNeed);
    assert_eq!(contents(&*file), written);
}

fn renaming(disk: &dyn Disk, dir: &Path) {
    let (from, to) = (dir.join("from"), dir.join("to"));
    let moved = create(disk, &from, b"new");
    let replaced = create(disk, &to, b"old");
    disk.rename(&from, &to).unwrap();
    disk.sync_dir(dir).unwrap();
    assert_eq!(disk.list(dir).unwrap(), ["to"]);
    assert_eq!(contents(&*disk.open(&to, OpenMode::Read).unwrap()), b"new");
    assert_eq!((contents(&*moved), contents(&*replaced)), (b"new".to_vec(), b"old".to_vec()));
    disk.remove(&to).unwrap();
    moved.write_at(b"N", 0).unwrap();
    assert_eq!(contents(&*moved), b"New");
    assert!(disk.list(dir).unwrap().is_empty());
    drop(create(disk, &to, b"next"));
    assert_eq!(contents(&*moved), b"New");
}

fn linking(disk: &dyn Disk, dir: &Path) {
    let (first, second) = (dir.join("first"), dir.join("second"));
    drop(create(disk, &first, b"bytes"));
    disk.link(&first, &second).unwrap();
    assert_eq!(disk.link(&first, &second).unwrap_err().kind(), ErrorKind::AlreadyExists);
    disk.open(&first, OpenMode::ReadWrite).unwrap().write_at(b"B", 0).unwrap();
    disk.remove(&first).unwrap();
    disk.sync_dir(dir).unwrap();
    assert_eq!(disk.list(dir).unwrap(), ["second"]);
    assert_eq!(contents(&*disk.open(&second, OpenMode::Read).unwrap()), b"Bytes");
    assert_eq!(disk.link(&first, &second).unwrap_err().kind(), ErrorKind::NotFound);
}

fn directories(disk: &dyn Disk, dir: &Path) {
    let inner = dir.join("a/b/c");
    disk.make_dir(&inner).unwrap();
    disk.make_dir(&inner).unwrap();
    for name in ["2", "10", "1"] {
        drop(create(disk, &inner.join(name), b""));
    }
    assert_eq!(disk.list(&inner).unwrap(), ["1", "10", "2"]);
    assert_eq!(disk.list(&dir.join("a")).unwrap(), ["b"]);
    disk.remove(&dir.join("a")).unwrap_err();
    assert_eq!(disk.list(&inner).unwrap().len(), 3);
    assert!(disk.make_dir(&inner.join("1")).is_err(), "a file stands there");
}

fn absent(disk: &dyn Disk, dir: &Path) {
    let (path, inside) = (dir.join("absent"), dir.join("absent/file"));
    let errors = [
        disk.open(&path, OpenMode::Read).err().unwrap(),
        disk.open(&path, OpenMode::ReadWrite).err().unwrap(),
        disk.open(&inside, OpenMode::CreateNew).err().unwrap(),
        disk.list(&path).unwrap_err(),
        disk.rename(&path, &dir.join("other")).unwrap_err(),
        disk.remove(&path).unwrap_err(),
        disk.sync_dir(&path).unwrap_err(),
        disk.lock(&inside).err().unwrap(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

fn locks(disk: &dyn Disk, dir: &Path) {
    let (path, other) = (dir.join("LOCK"), dir.join("OTHER"));
    let first = disk.lock(&path).unwrap();
    let second = disk.lock(&path).err().unwrap();
    assert_eq!(second.kind(), ErrorKind::WouldBlock, "{second}");
    assert!(second.to_string().contains("LOCK"));
    let _other = disk.lock(&other).unwrap();
    drop(first);
    let _again = disk.lock(&path).unwrap();
    assert_eq!(disk.lock(&path).err().unwrap().kind(), ErrorKind::WouldBlock);
}

fn free_space(disk: &dyn Disk, dir: &Path) {
    assert!(disk.free_bytes(dir).unwrap() > 1 << 20);
}

fn shared(disk: &dyn Disk, dir: &Path) {
    let file = disk.open(&dir.join("file"), OpenMode::CreateNew).unwrap();
    std::thread::scope(|scope| {
        for part in 0..4_u8 {
            let file = &file;
            scope.spawn(move || (0..50).for_each(|row| file.write_at(&[part], row * 4 + u64::from(part)).unwrap()));
        }
    });
    assert_eq!(contents(&*file), [0, 1, 2, 3].repeat(50));
}

/// Two ends talk, and each sees the other's end.
pub(crate) async fn check_net(net: &dyn Net) {
    let listener = net.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address();
    assert_ne!(address.port(), 0);
    let (client, server) = tokio::join!(net.connect(address), listener.accept());
    let (mut client, server) = (client.unwrap(), server.unwrap());
    assert!(server.peer_address().ip().is_loopback());
    let mut server = server.attach().unwrap();
    client.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    server.read_exact(&mut bytes).await.unwrap();
    server.write_all(b"pong").await.unwrap();
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"pong");
    drop(client);
    assert_eq!(server.read(&mut bytes).await.unwrap(), 0);
    let taken = net.listen(address).await.err().unwrap();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    assert!(taken.to_string().contains(&address.to_string()), "{taken}");
    drop(listener);
    let refused = net.connect(address).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(refused.to_string().contains(&address.to_string()), "{refused}");
}

mod os {
    use super::{DISK_CHECKS, check_net};
    use crate::env::os::{OsDisk, OsNet};

    #[test]
    fn the_disk_of_the_machine_conforms() {
        for (name, check) in DISK_CHECKS {
            let dir = tempfile::tempdir().unwrap();
            println!("{name}");
            check(&OsDisk, dir.path());
        }
    }

    #[tokio::test]
    async fn the_net_of_the_machine_conforms() {
        check_net(&OsNet).await;
    }
}

mod memory {
    use super::{DISK_CHECKS, check_net};
    use crate::env::Disk;
    use crate::env::memory::{MemoryDisk, MemoryNet};
    use std::path::Path;

    #[test]
    fn the_disk_in_memory_conforms() {
        for (name, check) in DISK_CHECKS {
            println!("{name}");
            let disk = MemoryDisk::new(1);
            disk.make_dir(Path::new("/data/inner")).unwrap();
            check(&disk, Path::new("/data/inner"));
        }
    }

    #[tokio::test]
    async fn the_net_in_memory_conforms() {
        check_net(&MemoryNet::default()).await;
    }
}
