<?php
// The people: their name and password are what they type, the attributes are what the provider tells of them.
$folder = getenv('GATEHOUSE_IDP');
$provider = json_decode(file_get_contents("$folder/provider.json"), true, 16, JSON_THROW_ON_ERROR);
$config = ['people' => ['exampleauth:UserPass']];
foreach ($provider['people'] as $name => $person) {
    $config['people'][$name . ':' . $person['password']] = [
        'email' => [$person['email']], 'firstname' => [$person['firstName']], 'lastname' => [$person['lastName']],
    ];
}
