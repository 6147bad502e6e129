# shellcheck shell=bash disable=SC2154  # the variables are set by dovecot.sh
# dovecot-2.3.sh -- the configuration of Dovecot 2.3 (Debian 12).  Sourced by dovecot.sh,
# whose variables it uses; config_everything prints dovecot.conf.

quota_field() { # LIMIT: the field of the user file that limits one user
    echo "userdb_quota_rule=*:storage=$1"
}

mail_location() { # HOME
    case $fmt in
    maildir) echo "maildir:$1/Maildir" ;;
    sdbox | mdbox) echo "$fmt:$1/$fmt" ;;
    *) fail "unknown fmt: $fmt" ;;
    esac
}

config_base() {
    cat <<END
protocols = imap $lmtp
listen = $address
base_dir = $STATE/run
state_dir = $STATE/run
instance_name = test-$PORT
log_path = $STATE/log
default_internal_user = $internal_user
default_internal_group = $internal_group
default_login_user = $login_user
mail_uid = $mail_user
mail_gid = $mail_group
first_valid_uid = 1
mail_home = $STATE/mail/%u
mail_location = $(mail_location "$STATE/mail/%u")
mail_privileged_group =
mailbox_list_index = $notify
mail_fsync = never
maildir_very_dirty_syncs = no
lmtp_save_to_detail_mailbox = yes
recipient_delimiter = +
lda_mailbox_autocreate = yes
postmaster_address = postmaster@localhost
hostname = localhost
END
    if [ "$debug" = yes ]; then
        printf '%s\n' 'mail_debug = yes' 'auth_debug = yes' 'auth_debug_passwords = yes'
    fi
}

config_login() {
    cat <<END
auth_mechanisms = $mech
auth_username_format = %Ln
auth_failure_delay = 0
auth_verbose = yes
disable_plaintext_auth = $([ "$plain" = yes ] && echo no || echo yes)
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%n $STATE/users
  mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256
}
userdb {
  driver = passwd-file
  args = username_format=%n $STATE/users
  default_fields = uid=$mail_user gid=$mail_group home=$STATE/mail/%u
}
END
}

config_tls() {
    echo "ssl = $tls"
    if [ "$tls" != no ]; then
        cat <<END
ssl_cert = <$pki/$cert.pem
ssl_key = <$pki/$cert.key
ssl_dh =
ssl_min_protocol = TLSv1.2
END
    fi
}

config_mailbox() { # NAME AUTO
    cat <<END
  mailbox $1 {
    auto = $2
    special_use = \\$1
  }
END
}

config_folders() {
    cat <<END
namespace inbox {
  inbox = yes
  type = private
  separator = $sep
  prefix = $prefix
$(config_mailbox Drafts subscribe)
$(config_mailbox Sent subscribe)
$(config_mailbox Trash subscribe)
$(config_mailbox Junk subscribe)
$(config_mailbox Archive create)
}
END
}

config_imap() {
    local plugins='quota' imap_plugins='imap_quota'
    if [ "$acl" = yes ]; then
        plugins="$plugins acl"
        imap_plugins="$imap_plugins imap_acl"
    fi
    if [ "$zlib" = yes ]; then
        plugins="$plugins zlib"
        imap_plugins="$imap_plugins imap_zlib"
    fi
    cat <<END
mail_plugins = $plugins
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=${quota:-0}
  quota_grace = 0
}
${logincaps:+imap_capability = $logincaps}
protocol imap {
  mail_plugins = \$mail_plugins $imap_plugins
  mail_max_userip_connections = $maxconn
  imap_idle_notify_interval = $idle
  imap_metadata = $metadata
  ${caps:+imap_capability = $caps}
}
END
    if [ "$metadata" = yes ]; then
        echo "mail_attribute_dict = file:%h/attributes"
    fi
}

config_services() {
    cat <<END
service imap-login {
  $chroot
  process_min_avail = 1
  inet_listener imap {
    port = $PORT
    address = $address
  }
  inet_listener imaps {
    port = $(imaps_port)
    ssl = yes
    address = $address
  }
}
service anvil {
  $chroot
}
service stats {
  $chroot
}
END
}

config_lmtp() {
    cat <<END
service lmtp {
  user = $mail_user
  inet_listener lmtp {
    port = $((PORT + 2))
    address = $address
  }
}
END
}

config_acl() {
    cat <<END
plugin {
  acl = vfile
  acl_shared_dict = file:$STATE/mail/shared-mailboxes.db
}
namespace public {
  type = public
  separator = $sep
  prefix = ${prefix}Public$sep
  location = maildir:$STATE/public:INDEXPVT=$STATE/mail/%u/public
  subscriptions = no
  list = yes
}
namespace shared {
  type = shared
  separator = $sep
  prefix = ${prefix}Shared$sep%%u$sep
  location = $(mail_location "$STATE/mail/%%u"):INDEXPVT=$STATE/mail/%u/shared/%%u
  subscriptions = no
  list = children
}
END
}

config_everything() {
    config_base
    config_login
    config_tls
    config_folders
    config_imap
    config_services
    [ -z "$lmtp" ] || config_lmtp
    [ "$acl" = no ] || config_acl
}
