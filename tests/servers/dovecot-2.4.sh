# shellcheck shell=bash disable=SC2154  # the variables are set by dovecot.sh
# dovecot-2.4.sh -- the configuration of Dovecot 2.4 (Debian 13).  Sourced by dovecot.sh,
# whose variables it uses; config_everything prints dovecot.conf.

quota_field() { # LIMIT: the field of the user file that limits one user
    echo "userdb_quota/user/storage_size=$1"
}

mail_settings() { # HOME
    case $fmt in
    maildir)
        printf '%s\n' "mail_driver = maildir" "mail_path = $1/Maildir" \
            "mailbox_list_layout = maildir++"
        ;;
    sdbox | mdbox) printf '%s\n' "mail_driver = $fmt" "mail_path = $1/$fmt" ;;
    *) fail "unknown fmt: $fmt" ;;
    esac
}

config_base() {
    cat <<END
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
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
mail_home = $STATE/mail/%{user}
$(mail_settings "$STATE/mail/%{user}")
mail_inbox_path =
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
auth_username_format = %{user | username | lower}
auth_failure_delay = 0
auth_verbose = yes
auth_allow_weak_schemes = yes
auth_allow_cleartext = $plain
passdb passwd-file {
  passwd_file_path = $STATE/users
  default_password_scheme = PLAIN
}
userdb passwd-file {
  passwd_file_path = $STATE/users
  fields {
    uid = $mail_user
    gid = $mail_group
    home = $STATE/mail/%{user}
  }
}
END
}

config_tls() {
    echo "ssl = $tls"
    if [ "$tls" != no ]; then
        cat <<END
ssl_server_cert_file = $pki/$cert.pem
ssl_server_key_file = $pki/$cert.key
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

# COMPRESS is part of the server here and can only be hidden.
hidden_compress() {
    if [ "$zlib" = no ]; then
        printf '%s\n' 'imap_capability {' '  "COMPRESS=DEFLATE" = no' '}'
    fi
}

config_imap() {
    cat <<END
mail_plugins {
  quota = yes
  acl = $acl
}
quota user {
  quota_name = User quota
  driver = count
  quota_storage_size = ${quota:-unlimited}
  quota_storage_grace = 0
}
${logincaps:+imap_capability = $logincaps}
protocol imap {
  mail_plugins {
    imap_quota = yes
    imap_acl = $acl
  }
  mail_max_userip_connections = $maxconn
  imap_idle_notify_interval = $idle
  imap_metadata = $metadata
  $(hidden_compress)
  ${caps:+imap_capability = $caps}
}
END
    if [ "$metadata" = yes ]; then
        cat <<END
mail_attribute {
  dict file {
    path = %{home}/attributes
  }
}
END
    fi
}

config_services() {
    cat <<END
service imap-login {
  $chroot
  process_min_avail = 1
  inet_listener imap {
    port = $PORT
    listen = $address
  }
  inet_listener imaps {
    port = $(imaps_port)
    ssl = yes
    listen = $address
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
    listen = $address
  }
}
END
}

config_acl() {
    cat <<END
acl_driver = vfile
acl_sharing_map {
  dict file {
    path = $STATE/mail/shared-mailboxes.db
  }
}
namespace public {
  type = public
  separator = $sep
  prefix = ${prefix}Public$sep
  mail_driver = maildir
  mail_path = $STATE/public
  mailbox_list_layout = maildir++
  mail_index_private_path = %{home}/public
  subscriptions = no
  list = yes
}
namespace shared {
  type = shared
  separator = $sep
  prefix = ${prefix}Shared$sep\$user$sep
  $(mail_settings "%{owner_home}")
  mail_index_private_path = %{home}/shared/%{owner_user}
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
