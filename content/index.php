<?php
declare(strict_types=1);

$escape = static fn (string $text): string => htmlspecialchars($text, ENT_QUOTES);
$pod = $escape((string) gethostname());
// Every slot of the volume carries the id of the release that it holds.
$release = $escape(trim((string) @file_get_contents(__DIR__ . '/glusterfarm-release')));
?>
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Glusterfarm</title>
  <link rel="stylesheet" href="assets/farm.css">
</head>
<body>
  <h1>Glusterfarm</h1>
  <p>pod <code><?= $pod ?></code> serves release <code><?= $release ?></code></p>
  <p>Reload: the Service spreads requests over the pods. <a href="helloworld.html">A static page</a>.</p>
</body>
</html>
