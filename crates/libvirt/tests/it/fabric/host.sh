# A host: PID 1 of its own namespaces. Arguments: its name, the fabric's folder.
# Everything it writes lies in the fabric's tmpfs; libvirtd is started again when it ends, as a service manager would.
set -eu
name=$1
base=$2/$1
mount --make-rprivate /
hostname "$name"

# /dev without kvm: libvirt believes in KVM where /dev/kvm is, and guests here are interpreted.
mount -t tmpfs -o mode=755 dev "$base/dev"
cd "$base/dev"
mknod -m 666 null c 1 3; mknod -m 666 zero c 1 5; mknod -m 666 full c 1 7
mknod -m 666 random c 1 8; mknod -m 666 urandom c 1 9; mknod -m 666 tty c 5 0
mkdir net pts shm
mknod -m 666 net/tun c 10 200
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts pts
mount -t tmpfs shm shm
ln -s pts/ptmx ptmx; ln -s /proc/self/fd fd; ln -s fd/0 stdin; ln -s fd/1 stdout; ln -s fd/2 stderr
cd /
mount --move "$base/dev" /dev

mount -t sysfs sys /sys
mount -t tmpfs cgroup /sys/fs/cgroup
mount -t overlay -o "lowerdir=/etc,upperdir=$base/etc,workdir=$base/work" etc /etc
mount --bind "$base/run" /run
for folder in lib cache log; do mount --bind "$base/$folder" "/var/$folder/libvirt"; done
cp "$2/hosts" /etc/hosts
echo "$name" > /etc/hostname

# The first word on a setting counts.
cp "$2/settings" /etc/libvirt/libvirtd.conf
cat >> /etc/libvirt/libvirtd.conf <<CONF
listen_tls = $([ -d "$base/pki" ] && echo 1 || echo 0)
listen_tcp = 1
auth_tcp = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
host_uuid = "$3"
log_outputs = "2:file:$base/log/libvirtd.log"
CONF
cat > /etc/libvirt/qemu.conf <<CONF
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
migration_host = "$name"
migration_address = "0.0.0.0"
keepalive_interval = 5
CONF
rm -f /etc/libvirt/qemu/networks/autostart/*
if [ -d "$base/pki" ]; then
    mkdir -p /etc/pki/CA /etc/pki/libvirt/private
    cp "$base/pki/cacert.pem" /etc/pki/CA/
    cp "$base/pki/servercert.pem" "$base/pki/clientcert.pem" /etc/pki/libvirt/
    cp "$base/pki/serverkey.pem" "$base/pki/clientkey.pem" /etc/pki/libvirt/private/
fi
if [ -e "$base/sshd_config" ]; then
    mkdir -p /run/sshd
    /usr/sbin/sshd -f "$base/sshd_config"
fi
mkdir -p /run/lock
while :; do
    /usr/sbin/libvirtd --listen >"$base/log/console" 2>&1 </dev/null || true
    sleep 0.1
done
