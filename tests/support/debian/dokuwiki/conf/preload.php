<?php
// Dokuwiki includes this before anything else, and insists on directories that it can write to. The content is
// read-only and a pod has only scratch space: on the first request the pages are copied there.
(static function (string $from, string $to): void {
    if (is_dir($to)) {
        return;
    }
    $copy = static function (string $from, string $to) use (&$copy): void {
        mkdir($to);
        foreach (array_diff(scandir($from), ['.', '..']) as $name) {
            is_dir("$from/$name") ? $copy("$from/$name", "$to/$name") : copy("$from/$name", "$to/$name");
        }
    };
    $mine = $to . '.' . bin2hex(random_bytes(8));
    $copy($from, $mine);
    // Whole or not at all; where another request was faster, its directory is as good.
    if (!@rename($mine, $to) && !is_dir($to)) {
        throw new RuntimeException("cannot make $to");
    }
})(__DIR__ . '/../data', '/tmp/dokuwiki');
