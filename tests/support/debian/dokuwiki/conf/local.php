<?php
// The wiki of the tests: anyone may read it, nobody may change it.
$conf['title'] = 'Glusterfarm';
$conf['savedir'] = '/tmp/dokuwiki'; // made by preload.php
$conf['useacl'] = 0;
$conf['disableactions'] = 'edit,register,resendpwd,revisions,admin,recent,media,backlink,subscribe';
$conf['updatecheck'] = 0;
